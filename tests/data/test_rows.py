import pytest

from mtl_core.data.rows import Malformed, Row, collect, gathered
from mtl_core.errors import ConfigError


def test_empty_texts_are_left_out_and_noted() -> None:
    found = [Row(1, "a", "one"), Row(2, "a", " \t"), Row(3, "b", "three")]

    file = collect(found, "train.tsv")

    assert [row.line for row in file.rows] == [1, 3]
    assert [(note.kind, note.line) for note in file.notes] == [("dropped", 2)]
    assert "the text is empty" in file.notes[0].message


def test_one_malformed_row_in_a_hundred_is_left_out_and_noted() -> None:
    found = [Malformed(7, "no tab"), *(Row(line, "a", "text") for line in range(8, 107))]

    file = collect(found, "train.tsv")

    assert len(file.rows) == 99
    assert [(note.kind, note.line, note.message) for note in file.notes] == [
        ("dropped", 7, "row left out: no tab")
    ]


def test_a_pair_with_an_empty_half_is_left_out_and_noted() -> None:
    file = collect([Row(1, "a", "one", "two"), Row(2, "a", "one", " ")], "train.tsv")

    assert [row.line for row in file.rows] == [1]
    assert [note.message for note in file.notes] == ["row left out: the second text is empty"]


@pytest.mark.parametrize("n_good", [0, 9, 197])
def test_two_malformed_rows_are_a_fault_below_two_hundred(n_good: int) -> None:
    good = [Row(line, "a", "text") for line in range(n_good)]

    with pytest.raises(ConfigError, match=f"2 of {n_good + 2} rows are malformed"):
        collect([Malformed(1000, "no tab"), *good, Malformed(1001, "no tab")], "train.tsv")


def test_more_malformed_rows_are_a_fault_that_names_the_first_of_them() -> None:
    bad = [Malformed(line, "no tab") for line in range(1, 9)]
    good = [Row(line, "a", "text") for line in range(9, 101)]

    with pytest.raises(ConfigError) as caught:
        collect([*bad, *good], "train.tsv")

    assert caught.value.faults[0] == "train.tsv: 8 of 100 rows are malformed"
    assert caught.value.faults[1:3] == ("train.tsv, line 1: no tab", "train.tsv, line 2: no tab")
    assert caught.value.faults[-1] == "train.tsv: and 3 more"


def test_gathered_collects_the_faults_of_several_errors() -> None:
    faults: list[str] = []
    for number in range(2):
        with gathered(faults):
            raise ConfigError([f"{number}a", f"{number}b"])

    assert faults == ["0a", "0b", "1a", "1b"]
