import pytest

from mtl_core.data.columns import Cells, Columns, make_row
from mtl_core.data.rows import Malformed, Row
from mtl_core.errors import ConfigError


def row_of(label: object, text: object = "a b", *, keeps: bool = False, kind: str) -> object:
    """Return the text and the label of a row, or why it is none."""
    columns = Columns(kind=kind, keeps_unlabelled=keeps)
    row = make_row(1, Cells(text, label), columns)
    return row.reason if isinstance(row, Malformed) else row.label


def test_columns_are_found_by_name_or_number() -> None:
    header = ["id", "one", "two", "score"]

    assert Columns(text="one", second="two", label="score").locate(header, "x") == (1, 3, 2)
    assert Columns(text=1, second=2, label=3).locate(header, "x") == (1, 3, 2)


def test_all_columns_that_are_missing_are_named() -> None:
    with pytest.raises(ConfigError) as caught:
        Columns(text="sentence1", second="sentence2", label="label").locate(
            ["sentence1", "label", "label"], "train.tsv, line 1"
        )

    shown = "(columns: 'sentence1', 'label', 'label')"
    assert caught.value.faults == (
        "train.tsv, line 1: column 'label' occurs 2 times",
        f"train.tsv, line 1: no column 'sentence2', did you mean 'sentence1'? {shown}",
    )


@pytest.mark.parametrize(
    ("kind", "cell", "label"),
    [
        ("classification", True, "True"),
        ("classification", 3, "3"),
        ("regression", 2.5, "2.5"),
        ("regression", "3", "3"),
        ("multilabel", "b|a| ", "b|a"),
        ("multilabel", ["x", 2], "x|2"),
        ("multilabel", [], "|"),
        ("multilabel", "|", "|"),
        ("tagging", "O  B-X", "O B-X"),
        ("tagging", ["O", "B-X"], "O B-X"),
    ],
)
def test_labels_become_text_by_the_kind_of_the_task(kind: str, cell: object, label: str) -> None:
    assert row_of(cell, kind=kind) == label


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("classification", 0.5),
        ("classification", ["a"]),
        ("regression", ["1"]),
        ("multilabel", ["a|b"]),
        ("multilabel", [0.5]),
        ("tagging", [None]),
    ],
)
def test_labels_of_another_type_are_malformed(kind: str, cell: object) -> None:
    assert str(row_of(cell, kind=kind)).startswith(f"the label is {cell!r}, where ")


@pytest.mark.parametrize("cell", ["", "  ", None])
def test_an_empty_label_is_malformed_unless_such_rows_are_kept(cell: object) -> None:
    assert row_of(cell, kind="classification", keeps=True) == ""
    assert "label is" in str(row_of(cell, kind="classification"))


def test_words_have_one_space_between_them_and_none_inside() -> None:
    tagging = Columns(kind="tagging")

    assert make_row(1, Cells(" a  b\u00a0c", "O O O"), tagging) == Row(1, "O O O", "a b c")
    assert make_row(1, Cells(["a b", "", "c"], "O O O"), tagging) == Row(1, "O O O", "a_b _ c")
    assert make_row(1, Cells(" a  b", "x"), Columns()) == Row(1, "x", " a  b")
