"""A header that was read as a row, since its columns are numbered, as of a file without one.

Its name of the label would be a class of its own. It is told by the first lines: the same in every
file of the task, with a label that no other row has; of one file, by words that could be names.
"""

import re
from collections.abc import Mapping

from mtl_core.data.columns import Columns
from mtl_core.data.rows import Row, RowFile

_NUMBER = re.compile(r"[+-]?[\d.]+([eE][+-]?\d+)?")  # no name of a column


def header_faults(parts: Mapping[str, RowFile], columns: Columns, kind: str) -> list[str]:
    """Return a fault for each file that seems to begin with a header, if all of them do."""
    if columns.has_header or not all(part.rows for part in parts.values()):
        return []
    first = {part.source: part.rows[0] for part in parts.values()}
    alike = {row[1:] for row in first.values()}
    if len(alike) > 1 or not all(_is_alone(part) for part in parts.values()):
        return []
    # Tags and several labels of one row are often its own.
    could_be = kind not in ("tagging", "multilabel") and all(map(_is_name, first.values()))
    if len(first) == 1 and not could_be:
        return []
    return [_fault(source, row) for source, row in first.items()]


def _is_alone(part: RowFile) -> bool:
    row = part.rows[0]
    alone = sum(other.label == row.label for other in part.rows) == 1
    return row.line == 1 and alone and not _NUMBER.fullmatch(row.label)


def _is_name(row: Row) -> bool:
    return row.text.isidentifier() and row.label.isidentifier()


def _fault(source: str, row: Row) -> str:
    second = "" if row.second is None else f", second: {row.second:.40}"
    wanted = f"columns: {{text: {row.text:.40}{second}, label: {row.label:.40}}}"
    found = f"no other row has the label {row.label!r:.40}, so this is a header"
    return f"{source}, line 1: {found}; {wanted} would be right, in place of numbers"
