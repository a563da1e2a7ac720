"""What a task's labels are as numbers: the targets of its rows.

A target is one number of a row's answer: its class, its value, for each label of several whether it
holds, or for each word its tag. All targets of a split stand in one array, row after row, so that a
split of any kind is stored, cut and batched alike. Of tagging, each piece has a target, and so has
each word that no model is shown, past `max_words` or without a piece of the tokenizer: marked, its
tag stands among those of the pieces, since it counts in the score (as answered `unread_tag`).
Shapes: n rows, M targets, C labels of a task.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtl_core.data.task import NO_LABEL, Split, Task, labels_in
from mtl_core.errors import ConfigError

WITH_CLASSES = frozenset({"classification", "tagging"})  # kinds whose targets are whole numbers
MISSING = -1.0  # of a row without a label, and of a piece that begins no word: it counts nothing
MISSING_VALUE = np.nan  # the same of a regression, whose values may be -1
_UNREAD = -2.0  # of a word that is not read, less the number of its tag

# Of each piece of a text, the number of its word where it begins one, else -1.
WordStarts = Sequence[int]


@dataclass(frozen=True)
class Targets:
    """The targets of a split.

    Args:
        values: Of all rows, one after the other, (M,).
        offsets: Row i has the values offsets[i] to offsets[i + 1], (n + 1,).
    """

    values: NDArray[np.float32]
    offsets: NDArray[np.int64]


def n_outputs(kind: str, labels: Sequence[str]) -> int:
    """Return how many numbers a head has: one for a regression, else one for each label."""
    return 1 if kind == "regression" else len(labels)


def value_scale(task: Task) -> tuple[float, float]:
    """Return mean and standard deviation of the train values; (0, 1) where there are none."""
    if task.kind != "regression":
        return 0.0, 1.0
    values = [float(label) for label in task.splits["train"].labels if label != NO_LABEL]
    spread = float(np.std(values)) if values else 0.0
    return float(np.mean(values)) if values else 0.0, spread or 1.0


def unread_tag(task: Task) -> str:
    """Return what a word that is not read counts as answered: `O`, or train's most frequent tag."""
    if task.kind != "tagging" or "O" in task.labels:
        return "O"
    train = task.splits["train"].labels
    counts = Counter(tag for label in train for tag in labels_in(label, task.kind))
    return max(task.labels, key=counts.__getitem__)


def is_read(targets: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which targets of tagging are of a piece, (M,); the others are of words not read."""
    return targets >= MISSING


def tags_of(targets: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the tags of targets, of words that are not read too; below 0 where there is none."""
    return np.where(is_read(targets), targets, _UNREAD - targets).astype(np.int64)


def encode_targets(task: Task, rows: Split, starts: Sequence[WordStarts]) -> Targets:
    """Return the targets of a split; values of a regression are standardised by train.

    Args:
        starts: Of tagging, which words the pieces of each text begin.

    Raises:
        ConfigError: A label, or tag, that the task does not have.
    """
    numbers = {label: float(at) for at, label in enumerate(task.labels)}
    if task.kind == "tagging":
        of_rows = [
            _tags(label.split(" "), numbers, of_text, rows.source)
            for label, of_text in zip(rows.labels, starts, strict=True)
        ]
        lengths = np.fromiter(map(len, of_rows), dtype=np.int64, count=len(of_rows))
        values = np.fromiter(
            (value for row in of_rows for value in row), np.float32, count=int(lengths.sum())
        )
        return Targets(values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
    if task.kind == "regression":
        mean, spread = value_scale(task)
        found = [
            MISSING_VALUE if label == NO_LABEL else (float(label) - mean) / spread
            for label in rows.labels
        ]
        return _even(np.array(found, dtype=np.float32), 1)
    if task.kind == "multilabel":
        found = [
            value for label in rows.labels for value in _several(label, task.labels, rows.source)
        ]
        return _even(np.array(found, dtype=np.float32), len(task.labels))
    numbers[NO_LABEL] = MISSING
    _check_labels(rows.labels, numbers, task, rows.source)
    return _even(np.array([numbers[label] for label in rows.labels], dtype=np.float32), 1)


def _even(values: NDArray[np.float32], width: int) -> Targets:
    return Targets(values, np.arange(0, len(values) + 1, width, dtype=np.int64))


def _tags(
    tags: Sequence[str], numbers: dict[str, float], starts: WordStarts, source: str
) -> list[float]:
    """Return a text's targets, words in their order; a tag that the task lacks is `MISSING`."""
    if tags == [NO_LABEL]:
        return [MISSING] * len(starts)
    if max(starts, default=-1) >= len(tags):
        raise ConfigError(f"{source}: a text has more words than tags ({' '.join(tags)[:60]})")
    found, n_words = [], 0
    for word in starts:
        if word >= 0:
            found += _unread(tags[n_words:word], numbers)
            n_words = word + 1
        found.append(numbers.get(tags[word], MISSING) if word >= 0 else MISSING)
    return found + _unread(tags[n_words:], numbers)


def _unread(tags: Sequence[str], numbers: dict[str, float]) -> list[float]:
    """Return the targets of words that are not read, so marked."""
    return [_UNREAD - numbers[tag] for tag in tags if tag in numbers]


def _several(label: str, known: Sequence[str], source: str) -> list[float]:
    if label == NO_LABEL:
        return [MISSING] * len(known)
    given = set(labels_in(label, "multilabel"))
    unknown = given - set(known)
    if unknown:
        raise ConfigError(f"{source}: label {sorted(unknown)[0]!r} does not occur in train")
    return [float(name in given) for name in known]


def _check_labels(
    labels: Sequence[str], numbers: dict[str, float], task: Task, source: str
) -> None:
    unknown = sorted(set(labels) - set(numbers))
    if unknown:
        raise ConfigError(
            f"{source}: label {unknown[0]!r} does not occur in train of {task.name!r}, "
            f"which has {', '.join(task.labels)}"
        )
