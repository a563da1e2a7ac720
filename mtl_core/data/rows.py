"""Rows as they come out of a file, each with its line, and the checks that make them a `Task`.

Every reader yields `Row` and `Malformed`; `collect` drops and notes the odd malformed or empty row,
but refuses a file with many, since a wrong layout must not pass for a small set. `make_task` checks
the splits against each other while the line numbers are still known.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from mtl_core.data.task import ReadingNote, Split, Task
from mtl_core.errors import ConfigError, suggest

DROPPED = "dropped"
MAX_MALFORMED_SHARE = 0.01
N_SHOWN = 5
RESERVED_NAMES = ("average", "worst_task")  # a study's `best/` has folders of these names
MIN_ROWS_TO_JUDGE_LABELS = 20
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


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
        elif item.text.strip():
            rows.append(item)
        else:
            empty.append(Malformed(item.line, "the text is empty"))
    if len(malformed) > MAX_MALFORMED_SHARE * n_found:
        raise ConfigError(_too_many(malformed, n_found, source))
    dropped = sorted([*malformed, *empty])
    made = [
        ReadingNote(kind=DROPPED, source=source, line=line, message=f"row left out: {reason}")
        for line, reason in dropped
    ]
    return RowFile(source=source, rows=tuple(rows), notes=(*notes, *made))


def make_task(name: str, parts: Mapping[str, RowFile], *, faults: Iterable[str] = ()) -> Task:
    """Return the task of these splits, its label set found from train.

    Raises one `ConfigError` for all of: an empty split, one class only, labels in dev or test that
    train has not, labels that look like texts, a name that a study uses itself.

    Args:
        faults: Those found while the splits were read, to be reported together with these; `parts`
            then has only the splits that could be read.
    """
    train = parts["train"].rows if "train" in parts else ()
    labels = sort_labels({row.label for row in train})
    faults = list(faults)
    faults += [
        f"{part.source}: no rows in {split}" for split, part in parts.items() if not part.rows
    ]
    if name in RESERVED_NAMES:
        faults.append(f"task {name!r}: a study uses this name itself; rename the task")
    if train:
        faults += _label_faults(parts, labels)
    if faults:
        raise ConfigError(faults)
    splits = {split: _as_split(part) for split, part in parts.items()}
    notes = tuple(dict.fromkeys(note for part in parts.values() for note in part.notes))
    return Task(name=name, labels=labels, splits=splits, notes=notes)


def sort_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the labels in the order of their classes: as numbers if all are, else as text."""
    unique = set(labels)
    if all(_NUMBER.fullmatch(label) for label in unique):
        return tuple(sorted(unique, key=lambda label: (float(label), label)))
    return tuple(sorted(unique))


def _as_split(part: RowFile) -> Split:
    texts = tuple(row.text for row in part.rows)
    labels = tuple(row.label for row in part.rows)
    seconds = tuple(row.second for row in part.rows if row.second is not None)
    return Split(texts=texts, labels=labels, source=part.source, seconds=seconds)


def _too_many(malformed: list[Malformed], n_found: int, source: str) -> list[str]:
    count = f"{len(malformed):,} of {n_found:,} rows are malformed"
    return [f"{source}: {count}", *_first(source, malformed)]


def _label_faults(parts: Mapping[str, RowFile], labels: tuple[str, ...]) -> list[str]:
    train = parts["train"]
    if len(labels) == 1:
        return [f"{train.source}: all rows have the label {labels[0]!r}; a task needs two classes"]
    if len(labels) * 2 > len(train.rows) >= MIN_ROWS_TO_JUDGE_LABELS:
        count = f"{len(labels):,} different labels in {len(train.rows):,} rows"
        return [f"{train.source}: {count} of train; are text and label in each other's place?"]
    faults = []
    for split, part in parts.items():
        counts = Counter(row.label for row in part.rows if row.label not in labels)
        first = {row.label: row.line for row in reversed(part.rows) if row.label in counts}
        unknown = [
            Malformed(
                first[label],
                f"label {label!r} is in {split} ({n:,} rows) but not in train"
                f"{suggest(label, labels)} (labels of train: {', '.join(labels[:20])})",
            )
            for label, n in counts.items()
        ]
        faults += _first(part.source, sorted(unknown))
    return faults


def _first(source: str, malformed: list[Malformed]) -> list[str]:
    """Return a line for each of the first few, and one for how many more there are."""
    shown = [f"{source}, line {line}: {reason}" for line, reason in malformed[:N_SHOWN]]
    more = len(malformed) - N_SHOWN
    return [*shown, f"{source}: and {more:,} more"] if more > 0 else shown
