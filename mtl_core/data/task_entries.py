"""What an entry of a task file may say: a task with its files and columns, or tasks of a folder.

An entry is checked as a whole here, so that every fault has the file's line; what is in the files
is looked at when they are read (`task_files.py`).
"""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import PurePath
from typing import Any, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mtl_core.data.columns import Columns
from mtl_core.data.entry_checks import entry_faults, folder_faults
from mtl_core.data.formats import FORMATS
from mtl_core.data.task import LABEL_SEPARATOR
from mtl_core.errors import suggest
from mtl_core.faults import Faults
from mtl_core.fields import CLOSED, CountOrZero
from mtl_core.yaml_lines import KeyPath

CONLL_ENDINGS = (".conll", ".iob", ".iob2", ".bio")
_WANTED = {  # by pydantic's types of faults
    "string_type": "text",
    "string_too_short": "a name",
    "dataclass_type": "a mapping",
    "tuple_type": "a list of names",
}
_WANTED_OF_KEY = {
    "columns": "a mapping such as {text: review, label: stars}",
    "dev": "'last 1000'",
    "separator": "text of at least one character",
}
_LAST = re.compile(r"last ([1-9][0-9]{0,8})")

Text = Field(min_length=1)


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class SplitNames:
    """A file, or a data set's own name, for each split; dev and test may be cut from train."""

    train: str = Text
    dev: str | None = None
    test: str | None = None

    def items(self) -> Iterator[tuple[str, str]]:
        return ((split, name) for split, name in vars(self).items() if name is not None)


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class ColumnEntry:
    """Columns by header, or by number from 0; `word` in place of `text` in the format conll."""

    text: str | CountOrZero | None = None
    second: str | CountOrZero | None = None
    label: str | CountOrZero = "label"
    word: CountOrZero | None = None


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class TaskEntry:
    """One task.

    Args:
        files: Its files, seen from the task file.
        disk: Folder that `save_to_disk` of the package `datasets` wrote, in place of `files`.
        hub, config: Name of a data set on the Hugging Face hub, and of its configuration.
        splits: The data set's names of the splits, of `disk` and `hub`.
        format: Of the files; told by their endings where it is left out.
        separator: Between the labels of one cell, of multilabel tasks.
        dev: "last N": dev is the last N rows of train.
    """

    name: str = Field(pattern=r"^[^./\s][^/\\]*$")
    kind: Literal["classification", "multilabel", "regression", "tagging"] = "classification"
    metric: str | None = None
    files: SplitNames | None = None
    disk: str | None = None
    hub: str | None = None
    config: str | None = None
    splits: SplitNames | None = None
    columns: ColumnEntry = Field(default_factory=ColumnEntry)
    format: Literal["tsv", "csv", "jsonl", "parquet", "conll"] | None = None
    separator: str = Field(default=LABEL_SEPARATOR, min_length=1)
    dev: str | None = None

    @property
    def last(self) -> int | None:
        """How many rows of train are dev, where `dev` says so."""
        match = _LAST.fullmatch(self.dev or "")
        return int(match[1]) if match else None

    def ending_of(self, file: str) -> str | None:
        """Return the ending that stands for the format of `file`; None where it is not known."""
        if self.format is not None:
            return f".{self.format}"
        ending = PurePath(file).suffix
        return ".conll" if ending in CONLL_ENDINGS else ending if ending in FORMATS else None

    @property
    def is_conll(self) -> bool:
        return self.files is not None and self.ending_of(self.files.train) == ".conll"

    def as_columns(self) -> Columns:
        columns = self.columns
        return Columns(
            text="text" if columns.text is None else columns.text,
            second=columns.second,
            label=columns.label,
            kind=self.kind,
            separator=self.separator,
            keeps_unlabelled=True,
        )


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class FolderEntry:
    """Tasks of a folder in one of the known layouts.

    Args:
        folder: `from` in the file; seen from the task file.
        tasks: Those wanted; all when empty.
        prefix: Put before their names, so that tasks of two folders can be told apart.
    """

    folder: str = Field(alias="from", min_length=1)
    tasks: tuple[str, ...] = ()
    prefix: str = Field(default="", pattern=r"^[^./\s]?[^/\\]*$")


Entry = TaskEntry | FolderEntry


def read_entry(raw: Any, path: KeyPath, faults: Faults) -> Entry | None:
    """Return the entry at `path` of a task file; None where it has faults, which are noted."""
    if not isinstance(raw, dict):
        faults.add(path, f"found {raw!r:.60}, a mapping with name: and files: would be right")
        return None
    class_: type[Entry] = FolderEntry if "from" in raw else TaskEntry
    try:
        entry = TypeAdapter[Entry](class_).validate_python(raw)
    except ValidationError as error:
        told: set[tuple[int | str, ...]] = set()
        for problem in error.errors():
            where = _within(raw, problem["loc"])
            if where not in told:  # of `text or number`, pydantic tells both that it is not
                told.add(where)
                _note(faults, (*path, *where), _message(dict(problem), class_))
        return None
    checked = entry_faults(entry) if isinstance(entry, TaskEntry) else folder_faults(entry)
    found = list(checked)
    for key, message in found:
        _note(faults, (*path, *key.split(".")), message)
    return None if found else entry


def _note(faults: Faults, path: KeyPath, message: str) -> None:
    faults.add(path, message, key=".".join(part for part in path if isinstance(part, str)))


def _within(raw: Any, loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return the part of pydantic's place that is in the file, and one key that is missing."""
    path: list[int | str] = []
    for part in loc:
        inside = isinstance(raw, dict) or (isinstance(raw, list) and isinstance(part, int))
        if not inside:
            break
        path.append(part)
        raw = raw.get(part) if isinstance(raw, dict) else raw[int(part)]
    return tuple(path)


def _message(problem: dict[str, Any], class_: type[Entry]) -> str:
    found, kind, name = problem["input"], problem["type"], str(problem["loc"][-1])
    if kind == "unexpected_keyword_argument":
        inner = {"columns": ColumnEntry, "files": SplitNames, "splits": SplitNames}
        owner: type[Any] = (
            inner.get(str(problem["loc"][0]), class_) if len(problem["loc"]) > 1 else class_
        )
        keys = ["from" if key.name == "folder" else key.name for key in fields(owner)]
        return f"unknown key{suggest(name, keys)}; known: {', '.join(keys)}"
    if kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return "missing"
    if kind == "literal_error":
        hint = "; a pair is told by columns.second" if "pair" in str(found) else ""
        return f"found {found!r:.60}, {problem['ctx']['expected']} would be right{hint}"
    if kind == "string_pattern_mismatch":
        return f"found {found!r:.60}, a name without / and not beginning with . would be right"
    wanted = _WANTED.get(kind)
    if wanted is not None:
        if problem["loc"][0] == "columns" and name != "columns":
            wanted = "a column's name or number"
        wanted = _WANTED_OF_KEY.get(name, wanted)
        return f"found {found!r:.60}, {wanted} would be right"
    return f"found {found!r:.60}: {problem['msg']}"
