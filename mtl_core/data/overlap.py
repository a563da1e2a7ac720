"""Rows that tasks have in common, whatever their kinds and however their texts were tokenised.

Sets that were made of one source spell it in their own ways ("isn't", "is n't"), so two texts are
the same here when their letters and digits are, in lower case and without anything between them
(`duplicates.py` counts those that are the same as they are written). A pair is the same as another
that has both its texts, in any order; a text that stands alone is the same as a pair that has it.
K is the number of tasks.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mtl_core.data.duplicates import normalise
from mtl_core.data.labels import sort_labels
from mtl_core.data.task import Corpus, ReadingNote, Split, Task, labels_in
from mtl_core.errors import ConfigError

EXCLUDED = "excluded"
_BETWEEN = re.compile(r"[\W_]+")


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Rows of one task that another task has as well; entry (i, j) of each is (K, K).

    Where two tasks have the same train texts all are zero, since each counts its own rows.

    Args:
        test: Test rows of task i whose letters are those of a train or dev row of task j.
        test_words: The same, where the words (runs of letters) are the same as well.
        test_in_train, dev_in_train: Test and dev rows of task i, by letters, in train of task j.
    """

    test: NDArray[np.int64]
    test_words: NDArray[np.int64]
    test_in_train: NDArray[np.int64]
    dev_in_train: NDArray[np.int64]


def find_overlap(corpus: Corpus) -> Overlap:
    """Count the rows that the tasks of a corpus have in common."""
    by_words = _Forms(corpus, words)
    by_letters = by_words.changed(_joined)
    return Overlap(
        test=by_letters.count("test", ("train", "dev")),
        test_words=by_words.count("test", ("train", "dev")),
        test_in_train=by_letters.count("test", ("train",)),
        dev_in_train=by_letters.count("dev", ("train",)),
    )


def exclude_overlap(corpus: Corpus) -> Corpus:
    """Return the corpus without the train rows whose texts are in dev or test of any task.

    Raises:
        ConfigError: A task would keep no train row, or none of one of its classes.
    """
    forms = _Forms(corpus, letters)
    held = dict(zip(corpus.names, forms.held(("dev", "test")), strict=True))
    tasks = tuple(_without(task, forms, held) for task in corpus.tasks)
    faults = [fault for task in tasks for fault in _emptied(task)]
    if faults:
        raise ConfigError(faults)
    return replace(corpus, tasks=tasks)


def words(text: str) -> str:
    """Return the runs of letters and digits of a text, in lower case, with one space between."""
    return _BETWEEN.sub(" ", text.lower()).strip() or normalise(text)


def letters(text: str) -> str:
    """Return the letters and digits of a text, in lower case; of one without any, its signs."""
    return _joined(words(text))


def _joined(text: str) -> str:
    return text.replace(" ", "")


Form = Callable[[str], str]


@dataclass(frozen=True)
class _Held:
    """Rows to be looked for: whole ones, and the texts they consist of."""

    of_pairs: bool
    wholes: frozenset[str]
    texts: frozenset[str]

    def has(self, row: tuple[str, ...]) -> bool:
        """Say whether the texts of a row are among these rows."""
        if (len(row) == 2) == self.of_pairs:
            return _whole(row) in self.wholes
        return any(text in self.texts for text in row)


class _Forms:
    """The rows of a corpus, each text in the form in which it is compared; made when asked for."""

    def __init__(self, corpus: Corpus, form: Form, base: "_Forms | None" = None) -> None:
        self._corpus = corpus
        self._form = form
        self._base = base
        self._rows: dict[tuple[str, str], list[tuple[str, ...]]] = {}

    def changed(self, form: Form) -> "_Forms":
        """Return the rows with `form` applied to the texts as they are here."""
        return _Forms(self._corpus, form, self)

    def rows(self, task: Task, split: str) -> list[tuple[str, ...]]:
        """Return the texts of each row."""
        key = (task.name, split)
        if key not in self._rows:
            base = self._base.rows(task, split) if self._base else _raw_rows(task.splits[split])
            self._rows[key] = [tuple(map(self._form, row)) for row in base]
        return self._rows[key]

    def held(self, splits: tuple[str, ...]) -> list[_Held]:
        """Return the rows of these splits of each task, to look others up in."""
        found = []
        for task in self._corpus.tasks:
            rows = [row for split in splits for row in self.rows(task, split)]
            texts = frozenset(text for row in rows for text in row)
            found.append(_Held(task.of_pairs, frozenset(map(_whole, rows)), texts))
        return found

    def count(self, split: str, among: tuple[str, ...]) -> NDArray[np.int64]:
        """Return how many rows of `split` of task i are in the splits `among` of task j, (K, K)."""
        tasks = self._corpus.tasks
        counts = np.zeros((len(tasks), len(tasks)), dtype=np.int64)
        if len(tasks) == 1:
            return counts
        train = [held.wholes for held in self.held(("train",))]
        for j, held in enumerate(self.held(among)):
            for i, task in enumerate(tasks):
                if i != j and train[i] != train[j]:
                    counts[i, j] = sum(map(held.has, self.rows(task, split)))
        return counts


def _raw_rows(split: Split) -> list[tuple[str, ...]]:
    if not split.seconds:
        return [(text,) for text in split.texts]
    return list(zip(split.texts, split.seconds, strict=True))


def _whole(row: tuple[str, ...]) -> str:
    return row[0] if len(row) == 1 else "\n".join(sorted(row))


def _without(task: Task, forms: _Forms, held: dict[str, _Held]) -> Task:
    """Return the task without the train rows that are held, and a note of how many and why."""
    train = task.splits["train"]
    kept: list[int] = []
    found: defaultdict[str, int] = defaultdict(int)
    for number, row in enumerate(forms.rows(task, "train")):
        holders = [name for name, rows in held.items() if rows.has(row)]
        for name in holders:
            found[name] += 1
        if not holders:
            kept.append(number)
    if not found:
        return task
    n_left = len(train) - len(kept)
    of = ", ".join(f"{name} {count:,}" for name, count in found.items())
    message = f"train: {n_left:,} of {len(train):,} rows left out, that are in dev or test of: {of}"
    note = ReadingNote(kind=EXCLUDED, source=train.source, line=None, message=message)
    splits = {**task.splits, "train": _only(train, kept)}
    return replace(task, splits=splits, notes=(*task.notes, note))


def _only(split: Split, rows: list[int]) -> Split:
    return replace(
        split,
        texts=tuple(split.texts[row] for row in rows),
        labels=tuple(split.labels[row] for row in rows),
        seconds=tuple(split.seconds[row] for row in rows) if split.seconds else (),
    )


def _emptied(task: Task) -> Iterator[str]:
    train = task.splits["train"]
    where = f"data.exclude_overlap: task {task.name!r}"
    if not any(train.labels):
        yield f"{where}: all its train rows are in dev or test of some task"
    elif task.kind == "classification":
        kept = {label for row in train.labels for label in labels_in(row, task.kind)}
        gone = sort_labels(set(task.labels) - kept)
        yield from (f"{where}: all train rows of {label!r} are in dev or test" for label in gone)
