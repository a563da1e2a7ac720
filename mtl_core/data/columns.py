"""Which columns of a file hold what, and how their cells become a `Row`.

A column is named by its header or, in a file without one, by its place, counted from 0. What a cell
may hold depends on the kind of the task: a label is text or a whole number, of regression any
number, of multilabel tasks several labels, of tagging a tag a word. jsonl, parquet and datasets may
hold lists in place of several labels, and words in place of a text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mtl_core.data.rows import Malformed, Row
from mtl_core.data.task import LABEL_SEPARATOR, NO_LABEL
from mtl_core.errors import ConfigError, suggest

Column = str | int
WANTED_LABELS = {
    "classification": "text or a whole number",
    "multilabel": "text or a list of labels",
    "regression": "a number",
    "tagging": "a tag a word",
}


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Where the cells of a row stand, and how they are read.

    Args:
        second: Column of the second text, where a row is a pair.
        separator: Between the labels of one cell of a multilabel task; alone in a cell it says
            that the text has none of the labels.
        keeps_unlabelled: Keep a row whose label is empty, as one that has none for this task.
    """

    text: Column = "text"
    label: Column = "label"
    second: Column | None = None
    kind: str = "classification"
    separator: str = LABEL_SEPARATOR
    keeps_unlabelled: bool = False

    @property
    def wanted(self) -> tuple[Column, ...]:
        """The columns to be read: of the text, the label and, of pairs, the second text."""
        columns = (self.text, self.label)
        return columns if self.second is None else (*columns, self.second)

    @property
    def has_header(self) -> bool:
        return isinstance(self.text, str)

    def locate(self, header: Sequence[str], where: str) -> tuple[int, ...]:
        """Return the places of `wanted` in the file's first row; all faults are one error.

        Args:
            where: File and line of the header, for the faults.
        """
        if not header:
            names = " and ".join(map(str, self.wanted))
            what = f"a header with {names}" if self.has_header else f"rows with columns {names}"
            raise ConfigError(f"{where}: the file is empty; {what} is wanted")
        faults = [fault for column in self.wanted for fault in _faults(column, header, where)]
        if faults:
            raise ConfigError(faults)
        return tuple(header.index(c) if isinstance(c, str) else c for c in self.wanted)


class Cells(NamedTuple):
    """The cells of one row, in the order of `Columns.wanted`."""

    text: object
    label: object
    second: object = None


def make_row(line: int, cells: Cells, columns: Columns) -> Row | Malformed:
    """Return the row of these cells, or what is wrong with them."""
    texts = [cells.text] if columns.second is None else [cells.text, cells.second]
    read = [_as_text(cell, words=columns.kind == "tagging") for cell in texts]
    for cell, text in zip(texts, read, strict=True):
        if text is None:
            return Malformed(line, f"the text is {cell!r:.40}, where text is wanted")
    label = _as_label(cells.label, columns)
    if label is None:
        wanted = WANTED_LABELS[columns.kind]
        return Malformed(line, f"the label is {cells.label!r:.40}, where {wanted} is wanted")
    if not all(_encodable(part) for part in (*read, label) if part is not None):
        return Malformed(line, "half of a surrogate pair (\\ud800 to \\udfff) stands alone")
    if label == NO_LABEL and not columns.keeps_unlabelled:
        return Malformed(line, "the label is empty")
    return Row(line, label, *(text for text in read if text is not None))


def _faults(column: Column, header: Sequence[str], where: str) -> list[str]:
    shown = ", ".join(repr(name[:40]) for name in header[:10])
    if isinstance(column, int):
        count = f"{len(header)} columns, the last is {len(header) - 1}"
        return [f"{where}: no column {column} ({count}: {shown})"] if column >= len(header) else []
    if column not in header:
        return [f"{where}: no column {column!r}{suggest(column, header)} (columns: {shown})"]
    if header.count(column) > 1:
        return [f"{where}: column {column!r} occurs {header.count(column)} times"]
    return []


def _as_text(cell: object, *, words: bool) -> str | None:
    """Return the text of a cell, None if it is none; of words, with one space between them."""
    if words and isinstance(cell, list) and all(isinstance(word, str) for word in cell):
        return " ".join("_".join(word.split()) or "_" for word in cell)
    if not isinstance(cell, str):
        return None
    return " ".join(cell.split()) if words else cell


def _as_label(cell: object, columns: Columns) -> str | None:
    """Return the label of a cell as `Split.labels` has it, None if it is of another type."""
    if cell is None and columns.keeps_unlabelled:
        return NO_LABEL
    if isinstance(cell, list) and columns.kind in ("multilabel", "tagging"):
        return _listed(cell, columns)
    if isinstance(cell, float) and columns.kind == "regression":
        return repr(cell)
    if not isinstance(cell, str | int):  # a bool is an int
        return None
    label = str(cell).strip()
    if columns.kind == "multilabel" and label:
        return _listed(label.split(columns.separator), columns)
    return " ".join(label.split()) if columns.kind == "tagging" else label


def _listed(cells: Sequence[object], columns: Columns) -> str | None:
    if not all(isinstance(cell, str | int) for cell in cells):
        return None
    parts = [str(cell).strip() for cell in cells]
    if columns.kind == "tagging":
        return " ".join("_".join(part.split()) or "_" for part in parts)
    if any(LABEL_SEPARATOR in part for part in parts):
        return None
    return LABEL_SEPARATOR.join(filter(None, parts)) or LABEL_SEPARATOR


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
