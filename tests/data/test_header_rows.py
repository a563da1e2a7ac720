import pytest

from mtl_core.data.columns import Columns
from mtl_core.data.header_rows import header_faults
from mtl_core.data.rows import Row, RowFile

NUMBERED = Columns(text=0, label=1)


def part(source: str, *rows: tuple[str, str]) -> RowFile:
    numbered = tuple(Row(line, label, text) for line, (text, label) in enumerate(rows, start=1))
    return RowFile(source=source, rows=numbered)


def test_a_first_row_that_all_files_have_alike_is_a_header() -> None:
    rows = [("the text", "a label"), ("one", "0"), ("two", "1")]
    parts = {"train": part("a.tsv", *rows), "test": part("b.tsv", *rows[:2])}

    assert header_faults(parts, NUMBERED, "classification") == [
        f"{source}, line 1: no other row has the label 'a label', so this is a header; columns:"
        " {text: the text, label: a label} would be right, in place of numbers"
        for source in ("a.tsv", "b.tsv")
    ]
    assert header_faults(parts, Columns(), "classification") == []


def test_a_first_row_of_one_file_is_a_header_where_it_could_be_names() -> None:
    header, rows = ("text", "label"), [("a text", "0"), ("two", "1")]

    assert (
        len(header_faults({"train": part("a.tsv", header, *rows)}, NUMBERED, "classification")) == 1
    )
    assert header_faults({"train": part("a.tsv", *rows)}, NUMBERED, "classification") == []


def test_a_first_row_with_a_label_of_others_is_none() -> None:
    rows = [("text", "a"), ("one", "b"), ("two", "a")]

    assert header_faults({"train": part("a.tsv", *rows)}, NUMBERED, "classification") == []


@pytest.mark.parametrize(
    ("kind", "first"),
    [
        ("tagging", ("Hello", "UH")),
        ("multilabel", ("Hello", "rare")),
        ("regression", ("A", "3.14")),
    ],
)
def test_a_first_row_that_is_one_of_a_kind_is_none(kind: str, first: tuple[str, str]) -> None:
    parts = {"train": part("a.tsv", first, ("one", "DT"), ("two", "NN"))}
    if kind == "regression":
        parts["test"] = part("b.tsv", first, ("three", "1.5"))

    assert header_faults(parts, NUMBERED, kind) == []
