"""Texts that occur more than once: within a split, between splits, between tasks.

Two rows are the same text when they are equal after lower-casing and white space normalisation;
two pairs, when both their texts are, in any order.
A test row that stands in a train split flatters a model that memorises, so each test row knows it,
and scores are given with and without such rows. K is the number of tasks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from mtl_core.data.task import NO_LABEL, Corpus, Task, labels_in

Key = tuple[str, str]
"""A task's name and one of its splits."""


def normalise(text: str) -> str:
    """Return the text lower-cased, with every run of white space as one space."""
    return " ".join(text.lower().split())


def normalise_pair(first: str, second: str | None) -> str:
    """Return what two rows have alike that are the same: a text, or both of a pair in any order.

    A normalised text holds no line end, so a pair is never the same as a text that stands alone.
    """
    if second is None:
        return normalise(first)
    return "\n".join(sorted((normalise(first), normalise(second))))


def normalise_corpus(corpus: Corpus) -> dict[Key, list[str]]:
    """Return the normalised texts, or pairs of texts, of every split, in row order."""
    return {
        (task.name, split): list(map(normalise_pair, rows.texts, rows.seconds or repeat(None)))
        for task in corpus.tasks
        for split, rows in task.splits.items()
    }


def seen_in_train(corpus: Corpus) -> dict[Key, NDArray[np.bool_]]:
    """Return, for every dev and test row, whether its text is in the train split of any task."""
    texts = normalise_corpus(corpus)
    seen = {text for (_, split), rows in texts.items() if split == "train" for text in rows}
    return {
        key: np.fromiter((text in seen for text in rows), dtype=np.bool_, count=len(rows))
        for key, rows in texts.items()
        if key[1] != "train"
    }


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """How many rows repeat another; "train_or_dev" is the published train file, which holds both.

    Args:
        within: Rows of a split that equal an earlier row of it.
        dev_in_train, test_in_train, test_in_dev, test_in_train_or_dev: Rows of a task's split
            whose text is in that other split of the same task.
        test_in_any_train, test_in_any_train_or_dev: The same, in that split of any task.
        contradicting: Texts of a task that occur with more than one label.
        between: Entry (i, j): test rows of task i whose text is in train of task j; (K, K).
        between_train_or_dev: The same for train or dev of task j.
    """

    within: dict[Key, int]
    dev_in_train: dict[str, int]
    test_in_train: dict[str, int]
    test_in_dev: dict[str, int]
    test_in_train_or_dev: dict[str, int]
    test_in_any_train: dict[str, int]
    test_in_any_train_or_dev: dict[str, int]
    contradicting: dict[str, int]
    between: NDArray[np.int64]
    between_train_or_dev: NDArray[np.int64]


def find_repeats(corpus: Corpus, texts: dict[Key, list[str]]) -> Repeats:
    """Count the repeated rows of a corpus, given its normalised texts (`normalise_corpus`)."""
    names = corpus.names
    train = {name: set(texts[name, "train"]) for name in names}
    dev = {name: set(texts[name, "dev"]) for name in names}
    either = {name: train[name] | dev[name] for name in names}
    any_train = set[str]().union(*train.values())
    any_either = set[str]().union(*either.values())
    test = {name: texts[name, "test"] for name in names}
    return Repeats(
        within={key: len(rows) - len(set(rows)) for key, rows in texts.items()},
        dev_in_train={name: _count(texts[name, "dev"], train[name]) for name in names},
        test_in_train={name: _count(test[name], train[name]) for name in names},
        test_in_dev={name: _count(test[name], dev[name]) for name in names},
        test_in_train_or_dev={name: _count(test[name], either[name]) for name in names},
        test_in_any_train={name: _count(test[name], any_train) for name in names},
        test_in_any_train_or_dev={name: _count(test[name], any_either) for name in names},
        contradicting={task.name: _contradicting(task, texts) for task in corpus.tasks},
        between=_matrix(test, train),
        between_train_or_dev=_matrix(test, either),
    )


def _count(rows: Iterable[str], known: set[str]) -> int:
    return sum(text in known for text in rows)


def _matrix(test: dict[str, list[str]], known: dict[str, set[str]]) -> NDArray[np.int64]:
    counts = [[_count(rows, texts) for texts in known.values()] for rows in test.values()]
    return np.array(counts, dtype=np.int64)  # (K, K)


def _contradicting(task: Task, texts: dict[Key, list[str]]) -> int:
    labels: dict[str, set[object]] = {}
    for split, rows in task.splits.items():
        for text, label in zip(texts[task.name, split], rows.labels, strict=True):
            if label != NO_LABEL:
                labels.setdefault(text, set()).add(_meant(label, task.kind))
    return sum(len(found) > 1 for found in labels.values())


def _meant(label: str, kind: str) -> object:
    """Return what a label says, however it is written: 4 and 4.0 are one number, a|b and b|a are
    the same labels."""
    if kind == "multilabel":
        return frozenset(labels_in(label, kind))
    return float(label) if kind == "regression" else label
