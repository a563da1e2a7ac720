"""The journal of one study: what happened, one JSON object a line, only ever added to.

Each line is flushed and fsynced before `append` returns, so what a driver has acted upon survives
`kill -9` and a power cut. Each ends with a checksum of itself. A last line that was cut short is
dropped at the next opening; a damaged line, or a broken one before the last, means that a disk or
somebody else changed the file, and is refused. One driver at a time holds the file (`flock`, which
the system releases with the process); `read_events` reads beside it. What the events mean is in
`record.py`; who holds the study, in `study_lock.py`.
"""

import errno
import fcntl
import json
import math
import os
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mtl_core.errors import ConfigError
from mtl_core.foreign import parse_json

Event = dict[str, Any]

JOURNAL = "journal.jsonl"  # in a study's folder

ATTEMPTS, AGAIN_SECONDS = 90, 1.0  # to write to storage that is away
_PASSING = {
    errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.ENOTCONN, errno.ENETDOWN,
    errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH,
}  # fmt: skip
_BEGINNING = b'{"event":'
_SEAL = b',"crc32":"'
_SEAL_LENGTH = 10  # of what follows it


class Journal:
    """The open journal of a study; made when it does not exist.

    Args:
        path: The file; its folder must exist.
        clock: Gives the `time` of events, in unix seconds.

    Attributes:
        dropped_lines: How many half-written last lines were cut off at opening: 0 or 1.
        failure: Why writing failed; once set, every `append` raises it, since a journal with a gap
            would be worse than one that ends early.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.failure: ConfigError | None = None
        self._clock = clock
        self._file = _open_locked(path)
        try:
            _, self._end = _parse(path, _read_all(self._file))
        except ConfigError:
            os.close(self._file)
            raise
        self.dropped_lines = int(os.fstat(self._file).st_size > self._end)
        if self.dropped_lines:
            os.ftruncate(self._file, self._end)
            os.fsync(self._file)

    def read(self) -> list[Event]:
        """Return all events from the beginning, in the order in which they happened."""
        return _parse(self.path, _read_all(self._file))[0]

    def append(self, event: Mapping[str, Any]) -> Event:
        """Write one event and return it as it will be read back.

        `time` is added when it is missing; numbers that JSON cannot say (NaN, infinite) become
        null. Storage that is away is waited for; a write that fails leaves the file as it was, and
        raises `ConfigError`.
        """
        if self.failure is not None:
            raise self.failure
        plain = to_plain({"event": event["event"], "time": self._clock(), **event})
        line = _sealed(json.dumps(plain, allow_nan=False, separators=(",", ":")))
        try:
            self._write(line)
        except OSError as error:
            self.failure = self._undo(error)
            raise self.failure from error
        self._end += len(line)
        return plain

    def _write(self, line: bytes) -> None:
        """Write and fsync the line; again for a while, from its beginning, where storage is away.

        After an fsync that failed another one may say that all is well although nothing was kept,
        so the line is cut off and written anew.
        """
        for attempt in range(ATTEMPTS):
            try:
                if attempt:
                    os.ftruncate(self._file, self._end)
                _write_all(self._file, line)
                os.fsync(self._file)
            except OSError as error:
                if error.errno not in _PASSING or attempt + 1 == ATTEMPTS:
                    raise
                time.sleep(AGAIN_SECONDS)
            else:
                return

    def close(self) -> None:
        """Release the file and its lock; twice is fine."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _undo(self, error: OSError) -> ConfigError:
        """Cut off what a failed write left behind, and say what happened."""
        try:
            os.ftruncate(self._file, self._end)
            rest = ""
        except OSError:
            rest = " (a half-written last line is left; the next opening drops it)"
        return ConfigError(
            f"{self.path}: cannot write the journal: {error.strerror}{rest}; what is in it is "
            "safe: make room or restore access, then run the same command again to continue"
        )


def read_events(path: Path) -> list[Event]:
    """Return the events of a journal that another process may be writing; takes no lock."""
    try:
        return _parse(path, path.read_bytes())[0]
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the journal: {error.strerror}") from error


def to_plain(value: Any) -> Any:
    """Return `value` as what JSON can hold: NaN and infinities as None, tuples as lists."""
    if isinstance(value, Mapping):
        return {str(key): to_plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(part) for part in value]
    if hasattr(value, "item"):  # NumPy's and torch's numbers
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _open_locked(path: Path) -> int:
    """Open for reading and appending, and lock; the lock lives as long as the descriptor."""
    try:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise ConfigError(f"{path}: cannot open the journal: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        if not isinstance(error, BlockingIOError):
            raise ConfigError(
                f"{path}: cannot lock the journal: {error.strerror}; choose a folder on a disk "
                "that has locks with --out"
            ) from error
        raise ConfigError(
            f"{path}: another process is writing this study; wait for it or end it, "
            "or choose another folder with --out"
        ) from error
    return file


def _read_all(file: int) -> bytes:
    size = os.fstat(file).st_size
    parts, position = [], 0
    while position < size:
        part = os.pread(file, size - position, position)
        if not part:
            break
        parts.append(part)
        position += len(part)
    return b"".join(parts)


def _write_all(file: int, line: bytes) -> None:
    """Write the whole line; the system may take it in pieces when the disk is nearly full."""
    while line:
        line = line[os.write(file, line) :]


def _parse(path: Path, text: bytes) -> tuple[list[Event], int]:
    """Return the events, and the length in bytes of what is whole.

    Only the last line may be broken: by a write that was cut short (no newline), or by a power
    cut after which the file's end holds something else.
    """
    lines = text.split(b"\n")
    unfinished = lines.pop()
    events: list[Event] = []
    sealed = False  # a journal of format 1 has no checksums, or has none at first
    for number, line in enumerate(lines, start=1):
        content, is_right = _opened(line)
        event = _parse_line(content)
        if number == 1 and event is not None:
            sealed = event.get("format") != 1
        sealed = sealed or is_right is not None
        if sealed and is_right is None:
            event = None
        was_whole = is_right is not None or (sealed and line.startswith(_BEGINNING))
        if was_whole and not (is_right and event is not None):
            raise ConfigError(
                f"{path}:{number}: is damaged, its checksum is another: {line[:60]!r}; restore the "
                "file from a copy, or begin anew with --fresh"
            )
        if event is None:
            if number == len(lines) and not unfinished:
                return events, len(text) - len(line) - 1
            raise ConfigError(
                f"{path}:{number}: not a line of a journal: {line[:60]!r}; "
                "restore the file from a copy, or begin anew with --fresh"
            )
        events.append(event)
    return events, len(text) - len(unfinished)


def _sealed(text: str) -> bytes:
    """Return a line: an object of JSON with its checksum as the last value."""
    line = text.encode()
    return b'%s%s%08x"}\n' % (line[:-1], _SEAL, zlib.crc32(line))


def _opened(line: bytes) -> tuple[bytes, bool | None]:
    """Return the line without its checksum, and whether that is right; None: it has none."""
    text, seal, rest = line.rpartition(_SEAL)
    if not seal or len(rest) != _SEAL_LENGTH:
        return line, None
    event = text + b"}"
    return event, rest == b'%08x"}' % zlib.crc32(event)


def _parse_line(line: bytes) -> Event | None:
    try:
        event = parse_json(line)
    except ValueError:
        return None
    is_event = (
        isinstance(event, dict)
        and isinstance(event.get("event"), str)
        and isinstance(event.get("time"), (int, float))
        and abs(event["time"]) <= sys.float_info.max
    )
    return event if is_event else None
