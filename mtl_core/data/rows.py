"""Rows as they come out of a file, each with its line.

Every reader yields `Row` and `Malformed`; `collect` drops and notes the odd malformed or empty row,
but refuses a file with many, since a wrong layout must not pass for a small set. What a task makes
of the rows of its splits is in `labels.py`.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from mtl_core.data.task import ReadingNote
from mtl_core.errors import ConfigError

DROPPED = "dropped"
MAX_MALFORMED_SHARE = 0.01
N_SHOWN = 5

Read = TypeVar("Read")


class Row(NamedTuple):
    """One labelled text, or pair of texts, and the line it begins on, counted from 1.

    For Parquet the line is the row.
    """

    line: int
    label: str
    text: str
    second: str | None = None


class Malformed(NamedTuple):
    """A line that is no row, and why."""

    line: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class RowFile:
    """The good rows of one file, or of a part cut from it, and what there is to say about it."""

    source: str
    rows: tuple[Row, ...]
    notes: tuple[ReadingNote, ...] = ()


@contextmanager
def gathered(faults: list[str]) -> Iterator[None]:
    """Put the faults of a `ConfigError` raised inside into `faults` and go on."""
    try:
        yield
    except ConfigError as error:
        faults.extend(error.faults)


def read_each(names: Iterable[str], read: Callable[[str], Read]) -> tuple[Read, ...]:
    """Return what `read` makes of each name, or raise one `ConfigError` for the faults of all."""
    faults: list[str] = []
    found = []
    for name in names:
        with gathered(faults):
            found.append(read(name))
    if faults:
        raise ConfigError(dict.fromkeys(faults))  # a file of several tasks tells its faults once
    return tuple(found)


def collect(
    found: Iterable[Row | Malformed], source: str, *, notes: Iterable[ReadingNote] = ()
) -> RowFile:
    """Keep the good rows; malformed ones and empty texts are dropped with a note each.

    More than `MAX_MALFORMED_SHARE` malformed rows are a `ConfigError` that names the first of them.
    """
    rows: list[Row] = []
    malformed: list[Malformed] = []
    empty: list[Malformed] = []
    n_found = 0
    for item in found:
        n_found += 1
        if isinstance(item, Malformed):
            malformed.append(item)
        elif not item.text.strip():
            empty.append(Malformed(item.line, "the text is empty"))
        elif item.second is not None and not item.second.strip():
            empty.append(Malformed(item.line, "the second text is empty"))
        else:
            rows.append(item)
    if len(malformed) > MAX_MALFORMED_SHARE * n_found:
        raise ConfigError(_too_many(malformed, n_found, source))
    dropped = sorted([*malformed, *empty])
    made = [
        ReadingNote(kind=DROPPED, source=source, line=line, message=f"row left out: {reason}")
        for line, reason in dropped
    ]
    return RowFile(source=source, rows=tuple(rows), notes=(*notes, *made))


def _too_many(malformed: list[Malformed], n_found: int, source: str) -> list[str]:
    count = f"{len(malformed):,} of {n_found:,} rows are malformed"
    return [f"{source}: {count}", *first_few(source, malformed)]


def first_few_of_each(found: Iterable[tuple[str, Malformed]]) -> list[str]:
    """Return the first few of each source by line; of several splits of one source, one list."""
    by_source: dict[str, set[Malformed]] = {}
    for source, malformed in found:
        by_source.setdefault(source, set()).add(malformed)
    lists = [first_few(source, sorted(malformed)) for source, malformed in by_source.items()]
    return [line for lines in lists for line in lines]


def first_few(source: str, malformed: list[Malformed]) -> list[str]:
    """Return a line for each of the first few, and one for how many more there are."""
    shown = [f"{source}, line {line}: {reason}" for line, reason in malformed[:N_SHOWN]]
    more = len(malformed) - N_SHOWN
    return [*shown, f"{source}: and {more:,} more"] if more > 0 else shown
