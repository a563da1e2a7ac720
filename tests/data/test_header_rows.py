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

    assert header_faults(parts, NUMBERED) == [
        f"{source}, line 1: no other row has the label 'a label', so this is a header; columns:"
        " {text: the text, label: a label} would be right, in place of numbers"
        for source in ("a.tsv", "b.tsv")
    ]
    assert header_faults(parts, Columns()) == []


def test_a_first_row_of_one_file_is_a_header_where_it_could_be_names() -> None:
    header, rows = ("text", "label"), [("a text", "0"), ("two", "1")]

    assert len(header_faults({"train": part("a.tsv", header, *rows)}, NUMBERED)) == 1
    assert header_faults({"train": part("a.tsv", *rows)}, NUMBERED) == []


def test_a_first_row_with_a_label_of_others_is_none() -> None:
    rows = [("text", "a"), ("one", "b"), ("two", "a")]

    assert header_faults({"train": part("a.tsv", *rows)}, NUMBERED) == []
