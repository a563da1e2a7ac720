"""Texts, colours and symbols of figures."""

from search.report.html.figures import SYMBOLS, Looks, hundredths, plain, short, ticks
from search.report.wording import SHORT


def test_mark_up_in_names_is_shown_as_it_is() -> None:
    assert plain("<b>a</b> & <script>") == "&lt;b&gt;a&lt;/b&gt; &amp; &lt;script&gt;"
    assert plain("two\nlines") == "two lines"


def test_long_names_are_cut_before_they_are_escaped() -> None:
    assert short("<" * 30, 5) == "&lt;&lt;&lt;&lt;…"
    assert short("books") == "books"


def test_every_structure_has_a_colour_and_a_symbol_of_its_own() -> None:
    names = [*SHORT, "cross_stitch"]
    looks = Looks(names)

    assert len({looks.colour(name) for name in names}) == len(names)
    assert len({looks.symbol(name) for name in names}) == len(names)


def test_a_structure_looks_the_same_in_every_study() -> None:
    assert Looks(["stack_cls"]).colour("stack_cls") == Looks(list(SHORT)).colour("stack_cls")


def test_more_structures_than_symbols_begin_again() -> None:
    names = [f"structure_{at}" for at in range(20)]

    assert {Looks(names).symbol(name) for name in names} == set(SYMBOLS)


def test_scores_become_percent_and_nan_nothing() -> None:
    assert hundredths([0.123456, float("nan"), None]) == [12.35, None, None]


def test_ticks_stand_at_whole_numbers() -> None:
    assert ticks(["a", "<b>"])["ticktext"] == ["a", "&lt;b&gt;"]
    assert ticks(["a", "b"])["tickvals"] == [0, 1]
