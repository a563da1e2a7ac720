"""How well the rows of a task were answered: row by row, and as one score.

Rows of dev and test that occur in the train split of some task can be had by heart, so the score is
given twice: over all rows, and over the rows never seen in training. Shapes: n rows, C classes.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtl_core.data.encoded import EncodedSplit, TaskInfo
from mtl_core.data.targets import is_read, tags_of
from mtl_core.metrics import ACCURACY, Answers, Metric, get_metric


@dataclass(frozen=True, kw_only=True)
class TaskEvaluation:
    """One task on one split; rows in the order of the split, those without a label left out.

    Args:
        predicted, labels: As in `Answers`.
        seen_in_train: Whether the row's text occurs in the train split of any task, (n,).
    """

    predicted: NDArray[Any]
    labels: NDArray[Any]
    seen_in_train: NDArray[np.bool_]
    names: tuple[str, ...] = ()
    offsets: NDArray[np.int64] | None = None
    metric: Metric = ACCURACY

    @property
    def answers(self) -> Answers:
        return Answers(self.predicted, self.labels, self.names, self.offsets)

    @cached_property
    def counts(self) -> NDArray[np.float64]:
        """What each row adds to the metric, (n, d)."""
        return self.metric.counts(self.answers)

    @property
    def correct(self) -> NDArray[np.bool_]:
        return self.predicted == self.labels

    @property
    def n_rows(self) -> int:
        return self.answers.n_rows

    @property
    def n_unseen(self) -> int:
        return int((~self.seen_in_train).sum())

    @cached_property
    def score(self) -> float:
        return self.metric.score(self.answers)

    @property
    def score_unseen(self) -> float | None:
        """The score over the rows never seen in training; None where there is no such row."""
        return self.metric.score(self.answers.take(~self.seen_in_train)) if self.n_unseen else None


def evaluation_of(
    part: EncodedSplit, info: TaskInfo, predicted: NDArray[np.generic]
) -> TaskEvaluation:
    """Return the evaluation of the answers to all rows of a split.

    Args:
        predicted: Classes or values (n,), labels that hold (n, C), or the tag of each piece.
    """
    metric, seen = get_metric(info.kind, info.metric), np.array(part.seen_in_train)
    if info.kind == "tagging":
        return _tagging(part, info, predicted)
    targets: NDArray[Any] = part.targets
    labels: NDArray[Any] = targets
    if info.kind == "multilabel":
        targets = targets.reshape(len(part), -1)
        given, labels = targets[:, 0] >= 0, targets > 0
    elif info.kind == "regression":
        given = ~np.isnan(targets)
    else:
        given, labels = targets >= 0, targets.astype(np.int64)
    return TaskEvaluation(
        predicted=predicted[given],
        labels=labels[given],
        seen_in_train=seen[given],
        names=info.labels,
        metric=metric,
    )


def average(evaluations: dict[str, TaskEvaluation]) -> float:
    """Return the mean of the tasks' scores; each task counts the same, whatever its rows."""
    return sum(of_task.score for of_task in evaluations.values()) / len(evaluations)


def _tagging(part: EncodedSplit, info: TaskInfo, predicted: NDArray[np.generic]) -> TaskEvaluation:
    """Return the evaluation of the words that have a tag, in the rows that have such words.

    A word that the model was not shown counts as any other, answered `unread_tag`.
    """
    tags = tags_of(part.targets)
    said = np.full(len(tags), info.labels.index(info.unread_tag))
    said[is_read(part.targets)] = predicted
    is_word = tags >= 0
    words = np.add.reduceat(is_word, part.target_offsets[:-1], dtype=np.int64)  # (n,)
    return TaskEvaluation(
        predicted=said[is_word],
        labels=tags[is_word],
        seen_in_train=np.array(part.seen_in_train)[words > 0],
        names=info.labels,
        offsets=np.concatenate([[0], np.cumsum(words[words > 0])]).astype(np.int64),
        metric=get_metric(info.kind, info.metric),
    )
