import pytest

from mtl_core.errors import ConfigError
from search.space import parse_space
from search.space_builder import build

TEXT = "name: x\nencoder: {d_ff: {choice: [8, 16]}}\npoints: [{d_ff: 8}]\n"


def test_the_text_of_an_unchanged_space_is_kept_as_it_is_written() -> None:
    text = f"# what it answers\n{TEXT}"

    assert build(text, "x.yaml", [], None).text == text


def test_a_space_without_a_name_is_named_after_its_file_and_keeps_that_name() -> None:
    built = build("encoder: {d_ff: 8}\n", "spaces/mine.yaml", [], None)

    again = build(built.text, "results/mine/space.yaml", [], None)

    assert built.name == again.name == "mine"


def test_the_order_of_keys_in_the_file_plays_no_part() -> None:
    sharing = "sharing: {structure: {choice: [stack_cls, single_task]}}"
    encoder = "encoder: {d_ff: {choice: [1, 2]}}"
    one, two = f"{sharing}\n{encoder}", f"{encoder}\n{sharing}"

    assert build(one, "x", [], None).conditional == build(two, "x", [], None).conditional


def test_what_was_changed_is_said_in_the_text() -> None:
    built = build(TEXT, "x.yaml", ["seed=3"], None)

    assert built.text.startswith("# x.yaml, changed: search.seed\n")


def test_the_places_of_keys_are_kept_for_faults_that_only_the_data_show() -> None:
    assert build(TEXT, "x.yaml", [], None).places["encoder.d_ff"] == "x.yaml:2"


def test_fewer_seeds_at_most_than_at_first_are_a_fault_with_its_line() -> None:
    with pytest.raises(ConfigError) as caught:
        build("search:\n  confirm: {seeds: 4, max_seeds: 2}\n", "x.yaml", [], None)

    assert str(caught.value) == (
        "x.yaml:2: search.confirm.max_seeds: found 2, at least the 4 seeds would be right"
    )


def test_a_confirmation_can_be_left_out_and_changes_no_question() -> None:
    text = "name: x\nsharing: {structure: stack_cls}\n"

    off = parse_space(text, overrides=["confirm.seeds=0"])

    assert off.search.confirm.seeds == 0
    assert off.digest() == parse_space(text).digest()


def test_own_vectors_of_another_width_are_a_fault_before_they_are_trained() -> None:
    widths = "encoder:\n  d_word: {choice: [128, 64]}\ndata: {vectors: own}\n"
    with pytest.raises(ConfigError) as caught:
        build(widths, "x.yaml", [], None)
    assert list(caught.value.faults) == [
        "x.yaml:2: encoder.d_word: found 64, but own word vectors have 128 numbers "
        "(data.own_vectors.dimension); encoder.d_word: 128 would be right"
    ]

    with pytest.raises(ConfigError, match=r"encoder\.d_word: found 300, but own word vectors"):
        build("data: {vectors: own}\n", "x.yaml", [], None)

    assert build(widths, "x.yaml", ["d_word=64", "data.own_vectors={dimension: 64}"], None)
