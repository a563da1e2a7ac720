"""Tags of spans in IOB2, whatever the scheme of the file: every span begins with a `B-` tag.

IOB1 (Ramshaw and Marcus, 1995; CoNLL-2003's files) has `B-` only where a span follows directly on
one of the same type. IOBES and BILOU, which also mark the last word of a span and spans of one
word, are understood as well. The splits of a task are looked at together: all of them have spans,
or none.
"""

import re
from collections import Counter
from collections.abc import Mapping

from mtl_core.data.rows import RowFile
from mtl_core.data.task import ReadingNote

CONVERTED = "converted"
_SPAN = re.compile(r"O|[BIESLU]-.+")
_AS_IOB = {"E": "I", "L": "I", "S": "B", "U": "B"}


def to_iob2(parts: Mapping[str, RowFile]) -> dict[str, RowFile]:
    """Return the splits with their tags in IOB2 and a note; as they are where some are no spans."""
    tags = {tag for part in parts.values() for row in part.rows for tag in row.label.split()}
    if not tags - {"O"} or not all(map(is_span, tags)):
        return dict(parts)
    return {split: _converted(part) for split, part in parts.items()}


def is_span(tag: str) -> bool:
    """Whether the tag is of a span, or O, in any scheme."""
    return _SPAN.fullmatch(tag) is not None


def _converted(file: RowFile) -> RowFile:
    rows = tuple(row._replace(label=_convert(row.label)) for row in file.rows)
    changed: Counter[str] = Counter()
    for old, new in zip(file.rows, rows, strict=True):
        pairs = zip(old.label.split(), new.label.split(), strict=True)
        changed.update(f"{a[0]}- to {b[0]}-" for a, b in pairs if a != b)
    if not changed:
        return file
    scheme = "IOB1" if set(changed) == {"I- to B-"} else "a scheme with last words"
    counts = ", ".join(f"{count:,} tags from {change}" for change, count in sorted(changed.items()))
    message = f"the tags are in {scheme} and read as IOB2: {counts}"
    note = ReadingNote(kind=CONVERTED, source=file.source, line=None, message=message)
    return RowFile(source=file.source, rows=rows, notes=(*file.notes, note))


def _convert(label: str) -> str:
    before, converted = "O", []
    for tag in label.split():
        prefix, dash, type_ = tag.partition("-")
        prefix = _AS_IOB.get(prefix, prefix)
        begins = before == "O" or before.partition("-")[2] != type_
        converted.append(f"B-{type_}" if prefix == "I" and begins else f"{prefix}{dash}{type_}")
        before = tag
    return " ".join(converted)
