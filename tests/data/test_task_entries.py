from pathlib import Path

import pytest

from mtl_core.data.task_entries import FolderEntry, TaskEntry, read_entry
from mtl_core.faults import Faults
from mtl_core.yaml_lines import parse

HEAD = "name: a\nfiles: {train: a.tsv}\n"


def read(text: str) -> tuple[object, list[str]]:
    """Return the entry of a YAML text, and its faults."""
    document = parse("- " + text.replace("\n", "\n  "), "t.yaml")
    faults = Faults(document)
    return read_entry(document.values[0], (0,), faults), faults.lines()


def test_the_task_file_of_the_readme_has_no_faults() -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    text = next(block for block in readme.split("```yaml\n") if block.startswith("- name:"))
    document = parse(text.split("```")[0], "README.md")
    faults = Faults(document, list(document.faults))

    entries = [read_entry(raw, (i,), faults) for i, raw in enumerate(document.values)]

    assert faults.lines() == []
    assert len(entries) == 7


def test_an_entry_is_a_task_or_the_tasks_of_a_folder() -> None:
    task, _ = read(HEAD)
    folder, _ = read("from: ../glue\ntasks: [RTE]\nprefix: x_\n")

    assert isinstance(task, TaskEntry)
    assert (task.kind, task.as_columns().text) == ("classification", "text")
    assert folder == FolderEntry(**{"from": "../glue", "tasks": ("RTE",), "prefix": "x_"})


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("files: {train: a.tsv}", "t.yaml:1: name: missing"),
        ("name: a", "t.yaml:1: name: a: found none of files, disk and hub; one would be right"),
        (HEAD + "disk: b", "t.yaml:1: name: a: found files and disk of files, disk and hub"),
        (HEAD + "colums: {}", "t.yaml:3: colums: unknown key, did you mean 'columns'?"),
        (HEAD + "columns: {txt: a}", "t.yaml:3: columns.txt: unknown key, did you mean 'text'?"),
        (HEAD + "kind: pair", "t.yaml:3: kind: found 'pair', 'classification', 'multilabel'"),
        (HEAD + "kind: pair", "a pair is told by columns.second"),
        (HEAD + "metric: pearson", "t.yaml:3: metric: unknown 'pearson'; of classification: acc"),
        (HEAD + "columns: {label: [a]}", "a column's name or number would be right"),
        (HEAD + "columns: {label: -1}", "t.yaml:3: columns.label"),
        (HEAD + "columns: {second: text}", "columns.second: is 'text' as text is; a pair has two"),
        (HEAD + "columns: {second: 3}", "columns: names and numbers together"),
        (HEAD + "columns: {text: label}", "columns.label: 'label' is a column of text as well"),
        (HEAD + "columns: {word: 0}", "columns.word: is of the format conll; text would be right"),
        (HEAD + "kind: tagging\ncolumns: {second: b}", "a pair of texts cannot be tagged"),
        (HEAD + "format: conll\ncolumns: {label: 1}", "kind: found classification, tagging would"),
        (HEAD + "format: conll\nkind: tagging", "columns.label: found 'label', the number of a"),
        (HEAD + "format: conll\nkind: tagging\ncolumns: {label: 0}", "column 0 has the words; the"),
        (HEAD + "format: jsonl\ncolumns: {text: 0, label: 1}", "only tsv, csv and conll have"),
        (HEAD + "format: excel", "format: found 'excel', 'tsv', 'csv', 'jsonl', 'parquet' or"),
        (HEAD + "dev: 1000", "t.yaml:3: dev: found 1000, 'last 1000' would be right"),
        (HEAD + "columns: [text]", "t.yaml:3: columns: found ['text'], a mapping such as {text:"),
        (HEAD + "separator: ''", "t.yaml:3: separator: found '', text of at least one character"),
        ("from: x\ntasks: [a, b, a]", "t.yaml:2: tasks: a more than once; once would be right"),
        (HEAD + "dev: first 10", "dev: found 'first 10', 'last 1000' would be right"),
        (HEAD + "separator: ;", "t.yaml:3: separator: is of multilabel tasks and not of classif"),
        (HEAD + "config: x", "config: only a data set of the hub has one"),
        (HEAD + "splits: {train: x}", "splits: names the splits of disk or hub"),
        ("name: a\nfiles: {dev: a.tsv}", "t.yaml:2: files.train: missing"),
        ("name: a\nfiles: {train: a.xlsx}", "files.train: 'a.xlsx' does not tell its format"),
        ("name: a\nfiles: a.tsv", "t.yaml:2: files: found 'a.tsv', a mapping would be right"),
        ("name: a/b\nfiles: {train: a.tsv}", "t.yaml:1: name: found 'a/b', a name without /"),
        ("from: x\ntasks: RTE", "t.yaml:2: tasks: found 'RTE', a list of names would be right"),
        ("from: x\nname: RTE", "t.yaml:2: name: unknown key"),
        ("7", "t.yaml:1: found 7, a mapping with name: and files: would be right"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_key(text: str, fault: str) -> None:
    entry, faults = read(text)

    assert entry is None
    assert any(fault in line for line in faults), faults
