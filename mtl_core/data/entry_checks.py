"""What does not go together in an entry of a task file: sources, splits, formats, columns, kind."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mtl_core.data.task import LABEL_SEPARATOR, METRICS
from mtl_core.errors import suggest

if TYPE_CHECKING:
    from mtl_core.data.task_entries import FolderEntry, TaskEntry


def entry_faults(entry: "TaskEntry") -> Iterator[tuple[str, str]]:
    """Yield key and message of what does not go together in an entry."""
    sources = [key for key in ("files", "disk", "hub") if getattr(entry, key) is not None]
    if len(sources) != 1:
        found = " and ".join(sources) or "none"
        yield "name", f"{entry.name}: found {found} of files, disk and hub; one would be right"
    if entry.config is not None and entry.hub is None:
        yield "config", "only a data set of the hub has one"
    if entry.splits is not None and entry.files is not None:
        yield "splits", "names the splits of disk or hub; files: {train: ..., dev: ...} is enough"
    if entry.metric is not None and entry.metric not in METRICS[entry.kind]:
        known = METRICS[entry.kind]
        near = suggest(entry.metric, known)
        yield "metric", f"unknown {entry.metric!r}{near}; of {entry.kind}: {', '.join(known)}"
    if entry.separator != LABEL_SEPARATOR and entry.kind != "multilabel":
        yield (
            "separator",
            f"is of multilabel tasks and not of {entry.kind}; kind: multilabel would be right",
        )
    if entry.dev is not None and entry.last is None:
        yield "dev", f"found {entry.dev!r:.60}, 'last 1000' would be right (rows of train)"
    given = entry.files or entry.splits
    if entry.dev is not None and given is not None and given.dev is not None:
        yield "dev", "dev is named as a split too; one of both would be right"
    yield from _format_faults(entry)
    yield from (_conll_faults if entry.is_conll else _column_faults)(entry)


def folder_faults(entry: "FolderEntry") -> Iterator[tuple[str, str]]:
    """Yield key and message of a task of a folder that is named twice."""
    repeated = [name for name, count in Counter(entry.tasks).items() if count > 1]
    if repeated:
        yield "tasks", f"{', '.join(repeated)} more than once; once would be right"


def _format_faults(entry: "TaskEntry") -> Iterator[tuple[str, str]]:
    if entry.files is None:
        if entry.format is not None:
            yield "format", "is of files; disk and hub have their own"
        return
    for split, name in entry.files.items():
        if entry.ending_of(name) is None:
            known = "tsv, csv, jsonl, parquet or conll"
            yield f"files.{split}", f"{name!r} does not tell its format; format: {known} would"


def _column_faults(entry: "TaskEntry") -> Iterator[tuple[str, str]]:
    columns = entry.as_columns()
    if entry.columns.word is not None:
        yield "columns.word", "is of the format conll; text would be right here"
    if len({isinstance(column, int) for column in columns.wanted}) > 1:
        yield "columns", "names and numbers together; numbers are for files without a header"
    endings = [entry.ending_of(name) for _, name in entry.files.items()] if entry.files else [None]
    if not columns.has_header and not set(endings) <= {".tsv", ".csv"}:
        yield "columns.text", "only tsv, csv and conll have numbered columns; a name would be right"
    if columns.second is not None and columns.second == columns.text:
        yield "columns.second", f"is {columns.text!r} as text is; a pair has two columns of text"
    if columns.label in (columns.text, columns.second):
        yield "columns.label", f"{columns.label!r} is a column of text as well"
    if columns.second is not None and entry.kind == "tagging":
        yield "columns.second", "a pair of texts cannot be tagged"


def _conll_faults(entry: "TaskEntry") -> Iterator[tuple[str, str]]:
    if entry.kind != "tagging":
        yield "kind", f"found {entry.kind}, tagging would be right of a conll file"
    if isinstance(entry.columns.label, str):
        found = entry.columns.label
        yield "columns.label", f"found {found!r}, the number of a column, from 0, would be right"
    if entry.columns.label == (entry.columns.word or 0):
        yield (
            "columns.label",
            f"column {entry.columns.label} has the words; the tags' would be right",
        )
    for key in ("text", "second"):
        if getattr(entry.columns, key) is not None:
            yield f"columns.{key}", "conll has words; columns: {word: 0, label: 3} would be right"
