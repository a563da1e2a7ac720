"""Bytes become lines: split at `\\n` only, decoded as UTF-8 and else, line by line, as Latin-1.

`str.splitlines` and text mode take U+0085 and other characters for line ends, which real reviews
hold in the middle; so files are read as bytes. A line that is not UTF-8 is kept and noted, never
dropped: every byte is a Latin-1 character, so the second decoding cannot fail.
"""

import codecs
from pathlib import Path

from mtl_core.data.task import ReadingNote
from mtl_core.errors import ConfigError

UNDECODABLE = "undecodable"


def read_lines(path: Path) -> tuple[list[str], list[ReadingNote]]:
    """Return the lines of `path` without their ends, and a note for each line that is not UTF-8.

    A byte order mark, a `\\r` before `\\n` and blank lines at the end of the file are left out, so
    line n of the file is entry n - 1. A file that cannot be read, or is UTF-16, is a `ConfigError`.
    """
    lines, notes = lines_of(read_bytes(path), source=str(path))
    while lines and not lines[-1].strip():
        lines.pop()
    return lines, notes


def lines_of(data: bytes, *, source: str) -> tuple[list[str], list[ReadingNote]]:
    """Return the lines of what was read from `source`, as `read_lines`, with those at the end."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigError(f"{source}: the file is UTF-16; save it as UTF-8")
    return _decode(data.removeprefix(codecs.BOM_UTF8), source=source)


def read_bytes(path: Path) -> bytes:
    """Return all bytes of a file; what the system refuses is the caller's to mend."""
    try:
        return path.read_bytes()
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder, a file is wanted here") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None


def _decode(data: bytes, *, source: str) -> tuple[list[str], list[ReadingNote]]:
    try:  # nearly every file is UTF-8 throughout, and then one call is ten times faster
        return [line.removesuffix("\r") for line in data.decode("utf-8").split("\n")], []
    except UnicodeDecodeError:
        pass
    lines, notes = [], []
    for number, line in enumerate(data.split(b"\n"), start=1):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            text = line.decode("latin-1")
            message = f"byte 0x{line[error.start]:02x} is not UTF-8; line read as Latin-1"
            note = ReadingNote(kind=UNDECODABLE, source=source, line=number, message=message)
            notes.append(note)
        lines.append(text.removesuffix("\r"))
    return lines, notes
