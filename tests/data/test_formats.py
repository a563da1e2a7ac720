import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mtl_core.data.columns import Columns
from mtl_core.data.formats import FORMATS, read_rows
from mtl_core.data.rows import Row
from mtl_core.errors import ConfigError

ROWS = [("a good book", "1"), ('the "worst", so far', "0"), ("für immer", "1")]


def write(folder: Path, ending: str, rows: list[tuple[Any, Any]]) -> Path:
    """Write `rows` of (text, label) in the format of `ending`, with a column that is ignored."""
    path = folder / f"train{ending}"
    if ending == ".parquet":
        texts, labels = zip(*rows, strict=True)
        pq.write_table(pa.table({"n": range(len(rows)), "text": texts, "label": labels}), path)
    elif ending == ".jsonl":
        lines = [json.dumps({"label": label, "n": 1, "text": text}) for text, label in rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    elif ending == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("label", "n", "text"), *((b, 1, a) for a, b in rows)])
    else:
        lines = ["n\ttext\tlabel", *(f"1\t{text}\t{label}" for text, label in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_text(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def faults_of(path: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read_rows(path)
    return caught.value.faults


@pytest.mark.parametrize("ending", FORMATS)
def test_all_formats_give_the_same_rows(tmp_path: Path, ending: str) -> None:
    file = read_rows(write(tmp_path, ending, ROWS))

    assert [(row.text, row.label) for row in file.rows] == ROWS
    assert file.notes == ()


@pytest.mark.parametrize("ending", FORMATS)
def test_an_empty_text_is_left_out_with_the_line_it_is_on(tmp_path: Path, ending: str) -> None:
    file = read_rows(write(tmp_path, ending, [*ROWS, (" ", "1"), *ROWS]))

    assert len(file.rows) == 6
    first_line = 1 if ending in (".jsonl", ".parquet") else 2
    assert [(note.kind, note.line) for note in file.notes] == [("dropped", first_line + 3)]


@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_of_no_bytes_is_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"train{ending}"
    path.touch()

    assert str(path) in faults_of(path)[0]


@pytest.mark.parametrize(
    ("labels", "read"),
    [([1, 0], ["1", "0"]), ([True, False], ["True", "False"]), ([" a", "b "], ["a", "b"])],
)
@pytest.mark.parametrize("ending", [".jsonl", ".parquet", ".csv"])
def test_labels_become_text(
    tmp_path: Path, ending: str, labels: list[Any], read: list[str]
) -> None:
    path = write(tmp_path, ending, list(zip(["one", "two"], labels, strict=True)))

    assert [row.label for row in read_rows(path).rows] == read


def test_a_tsv_has_no_quoting(tmp_path: Path) -> None:
    path = write_text(tmp_path, "train.tsv", 'label\ttext\n1\t"open\n0\t"closed"\n')

    assert read_rows(path).rows == (Row(2, "1", '"open'), Row(3, "0", '"closed"'))


def test_a_csv_text_may_hold_line_ends_and_later_rows_keep_their_line(tmp_path: Path) -> None:
    text = 'text,label\r\n"one\r\ntwo, ""three""",1\r\nfour,0\r\n"fi\n\nve",1\n'

    file = read_rows(write_text(tmp_path, "train.csv", text))

    assert file.rows == (
        Row(2, "1", 'one\ntwo, "three"'),
        Row(4, "0", "four"),
        Row(5, "1", "fi\n\nve"),
    )


def test_a_csv_text_may_be_longer_than_the_csv_modules_limit(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    long = "word " * 60_000

    file = read_rows(write(tmp_path, ".csv", [(long, "1")]))

    assert file.rows[0].text == long
    assert csv.field_size_limit() == limit


def test_a_csv_quote_never_closed_is_a_fault_with_its_line(tmp_path: Path) -> None:
    path = write_text(tmp_path, "train.csv", 'text,label\none,1\n"two,0\nthree,1\n')

    assert faults_of(path) == (
        f"{path}, line 3: a quote is opened and never closed, so the rest of the file is lost",
    )


def test_a_csv_line_with_text_after_a_quote_is_left_out_and_noted(tmp_path: Path) -> None:
    lines = ["text,label", *(f"text {n},1" for n in range(150))]
    lines[50] = '"two" three,0'

    file = read_rows(write_text(tmp_path, "train.csv", "\n".join(lines)))

    assert len(file.rows) == 149
    assert [note.line for note in file.notes] == [51]


def test_a_header_without_the_columns_names_the_nearest(tmp_path: Path) -> None:
    path = write_text(tmp_path, "train.tsv", "Text\tlabels\n1\tone\n")

    assert faults_of(path) == (
        f"{path}, line 1: no column 'text', did you mean 'Text'? (columns: 'Text', 'labels')",
        f"{path}, line 1: no column 'label', did you mean 'labels'? (columns: 'Text', 'labels')",
    )


def test_a_file_without_a_header_shows_what_stands_there(tmp_path: Path) -> None:
    path = write_text(tmp_path, "train.csv", "a good book,1\nbad,0\n")

    assert "no column 'text' (columns: 'a good book', '1')" in faults_of(path)[0]


def test_a_column_that_occurs_twice_is_a_fault(tmp_path: Path) -> None:
    path = write_text(tmp_path, "train.csv", "text,label,text\na,1,b\n")

    assert faults_of(path) == (f"{path}, line 1: column 'text' occurs 2 times",)


@pytest.mark.parametrize("ending", [".tsv", ".csv"])
def test_rows_with_another_number_of_cells_are_faults_with_their_lines(
    tmp_path: Path, ending: str
) -> None:
    comma = "," if ending == ".csv" else "\t"
    text = f"text{comma}label\none{comma}1\ntwo\nthree{comma}0{comma}x\n"
    path = write_text(tmp_path, f"train{ending}", text)

    assert faults_of(path) == (
        f"{path}: 2 of 3 rows are malformed",
        f"{path}, line 3: 1 cells, where the header has 2",
        f"{path}, line 4: 3 cells, where the header has 2",
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "one", "label": }', "no JSON: Expecting value, at character 26"),
        ("[1, 2]", "a JSON list, where an object is wanted"),
        ("", "no JSON: Expecting value, at character 1"),
        ("[" * 100_000, "no JSON that can be read"),
        ('{"text": "one", "lable": 1}', "no 'label', did you mean 'lable'? (keys: text, lable)"),
        ('{"text": 5, "label": 1}', "the text is 5, where text is wanted"),
        ('{"text": null, "label": 1}', "the text is None, where text is wanted"),
        ('{"text": "one", "label": 0.5}', "the label is 0.5, where text or a whole number"),
        ('{"text": "one", "label": ""}', "the label is empty"),
        ('{"text": "\\ud800", "label": 1}', "half of a surrogate pair"),
    ],
)
def test_json_lines_that_are_no_rows_are_faults_with_their_line(
    tmp_path: Path, line: str, reason: str
) -> None:
    good = '{"text": "one", "label": 1}'
    path = write_text(tmp_path, "train.jsonl", f"{good}\n{line}\n{good}\n")

    faults = faults_of(path)

    assert faults[0] == f"{path}: 1 of 3 rows are malformed"
    assert faults[1].startswith(f"{path}, line 2: {reason}")


def test_a_label_s_key_that_no_json_line_has_is_named_also_where_labels_may_be_missing(
    tmp_path: Path,
) -> None:
    path = write_text(tmp_path, "a.jsonl", '{"text": "a", "label": 1}\n{"text": "b"}\n')

    rows = read_rows(path, Columns(keeps_unlabelled=True)).rows
    with pytest.raises(ConfigError) as caught:
        read_rows(path, Columns(label="lable", keeps_unlabelled=True))

    assert rows == (Row(1, "1", "a"), Row(2, "", "b"))
    assert caught.value.faults == (
        f"{path}: no 'lable', did you mean 'label'? (keys: text, label)",
    )


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    path = write_text(tmp_path, "train.parquet", "text,label\none,1\n")

    assert faults_of(path)[0].startswith(f"{path}: no Parquet file that can be read")


def test_parquet_columns_of_another_type_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"text": [1, 2], "label": [0.5, 1.0]}), path)

    assert faults_of(path) == (
        f"{path}: column 'text' is int64, where text is wanted",
        f"{path}: column 'label' is double, where text, whole numbers or booleans is wanted",
    )


def test_parquet_columns_that_are_missing_are_named(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"sentence": ["a"], "label": [1]}), path)

    assert faults_of(path) == (f"{path}: no column 'text' (columns: 'sentence', 'label')",)


def test_parquet_categories_and_empty_cells(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    labels = pa.array(["a", "b", *["a"] * 200]).dictionary_encode()
    texts = pa.array(["one", None, *["two"] * 200], pa.large_string())
    pq.write_table(pa.table({"text": texts, "label": labels}), path)

    file = read_rows(path)

    assert file.rows[0] == Row(1, "a", "one")
    assert len(file.rows) == 201
    assert [note.line for note in file.notes] == [2]


def test_latin1_bytes_in_a_csv_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(b"text,label\ncaf\xe9,1\n")

    file = read_rows(path)

    assert file.rows[0].text == "café"
    assert [(note.kind, note.line) for note in file.notes] == [("undecodable", 2)]
