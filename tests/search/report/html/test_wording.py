"""Numbers and lists of names as templates write them."""

from search.report.by_arm import Cell
from search.report.html.wording import ends, in_a_row, number, short_name


def test_intervals_and_numbers_that_are_not_known_are_left_out() -> None:
    assert ends(Cell(0.5, 0.4, 0.612)) == "40.0–61.2"
    assert ends(Cell(0.5)) == ""
    assert number(None) == "–"
    assert number(1234.5) == "1,234"


def test_structures_have_short_names_and_others_their_own() -> None:
    assert short_name("stack_cls") == "S-C"
    assert short_name("cross_stitch") == "cross_stitch"


def test_names_stand_in_a_row() -> None:
    assert in_a_row(["a"]) == "a"
    assert in_a_row(["a", "b", "c"]) == "a, b and c"
    assert in_a_row([str(at) for at in range(64)]).endswith("9 and 54 more")
