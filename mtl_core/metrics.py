"""The metrics of tasks: a score of all rows, and counts of each row from which it could be had.

Scores are those of torchmetrics and seqeval, but for Matthews and for the F1 of several labels.
These come from the counts, since torchmetrics has rules of its own where one class alone is said,
or right, and wants two labels at least. Beside each score stands what one row adds to it, since all
of them are functions of means over rows: of these an interval can be had without computing the
metric a thousand times (`search/report/statistics.py`). Shapes: n rows, C labels, d counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """What was answered, and what is right.

    Args:
        predicted, labels: Classes (n,), values (n,), for each label whether it holds (n, C), or
            tags of all words of all rows, one row after the other.
        names: The task's labels or tags.
        offsets: Of tags: row i has those from the i-th to the next, (n + 1,).
    """

    predicted: NDArray[Any]
    labels: NDArray[Any]
    names: Sequence[str]
    offsets: NDArray[np.int64] | None = None

    @property
    def n_rows(self) -> int:
        return len(self.labels) if self.offsets is None else len(self.offsets) - 1

    @cached_property
    def tags(self) -> tuple[list[list[str]], list[list[str]]]:
        """The right and the predicted tags by row, as text."""
        assert self.offsets is not None
        names, edges = np.array(self.names), self.offsets[1:-1]
        right, found = (
            [row.tolist() for row in np.split(names[values.astype(np.int64)], edges)]
            for values in (self.labels, self.predicted)
        )
        return right, found

    def take(self, rows: NDArray[np.bool_]) -> "Answers":
        """Return the answers of the rows that are marked."""
        if self.offsets is None:
            return Answers(self.predicted[rows], self.labels[rows], self.names)
        lengths = np.diff(self.offsets)
        words = np.repeat(rows, lengths)
        offsets = np.concatenate([[0], np.cumsum(lengths[rows])]).astype(np.int64)
        return Answers(self.predicted[words], self.labels[words], self.names, offsets)


@dataclass(frozen=True)
class Metric:
    """One metric.

    Args:
        score: Of all rows, at most 1; 0 where it is not defined.
        counts: Of each row, (n, d).
        of_means: The score, from the means of the counts, (d,).
        lowest: The least that the score can be.
    """

    name: str
    score: Callable[[Answers], float]
    counts: Callable[[Answers], Array]
    of_means: Callable[[Array], float]
    lowest: float = 0.0


def _accuracy(answers: Answers) -> float:
    return float((answers.predicted == answers.labels).mean())


def _right(answers: Answers) -> Array:
    return (answers.predicted == answers.labels).astype(np.float64)[:, None]


def _first(means: Array) -> float:
    return float(means[0])


def _f1(answers: Answers) -> float:
    from torchmetrics.functional.classification import binary_f1_score

    last = len(answers.names) - 1
    return float(
        binary_f1_score(_tensor(answers.predicted == last), _tensor(answers.labels == last))
    )


def _f1_counts(answers: Answers) -> Array:
    last = len(answers.names) - 1
    return _hits(answers.predicted[:, None] == last, answers.labels[:, None] == last)


def _macro_f1(answers: Answers) -> float:
    from torchmetrics.functional.classification import multiclass_f1_score

    found, right = _tensor(answers.predicted), _tensor(answers.labels)
    return float(multiclass_f1_score(found, right, len(answers.names), average="macro"))


def _class_counts(answers: Answers) -> Array:
    classes = np.arange(len(answers.names))
    return _hits(answers.predicted[:, None] == classes, answers.labels[:, None] == classes)


def _matthews(answers: Answers) -> float:
    return _matthews_of_means(_class_counts(answers).mean(0))


def _matthews_of_means(means: Array) -> float:
    hits, found, right = np.split(means, 3)
    covariance = hits.sum() - found @ right
    spread = (1 - found @ found) * (1 - right @ right)
    return float(covariance / np.sqrt(spread)) if spread > 0 else 0.0


def _micro_f1_of_several(answers: Answers) -> float:
    return _f1_of_means(_pooled_counts(answers).mean(0))


def _macro_f1_of_several(answers: Answers) -> float:
    return _f1_of_means(_all_labels_counts(answers).mean(0))


def _all_labels_counts(answers: Answers) -> Array:
    return _hits(answers.predicted > 0, answers.labels > 0)


def _pooled_counts(answers: Answers) -> Array:
    return _all_labels_counts(answers).reshape(answers.n_rows, 3, -1).sum(2)


def _exact(answers: Answers) -> float:
    return float(_exact_counts(answers).mean())


def _exact_counts(answers: Answers) -> Array:
    return (answers.predicted == answers.labels).all(1, keepdims=True).astype(np.float64)


def _pearson(answers: Answers) -> float:
    from torchmetrics.functional.regression import pearson_corrcoef

    found, right = answers.predicted.astype(np.float64), answers.labels.astype(np.float64)
    if len(found) < 2 or not np.ptp(found) or not np.ptp(right):
        return 0.0
    return float(pearson_corrcoef(_tensor(found), _tensor(right)))


def _moments(answers: Answers) -> Array:
    found, right = answers.predicted.astype(np.float64), answers.labels.astype(np.float64)
    return np.stack([found, right, found * right, found**2, right**2], axis=1)


def _pearson_of_means(means: Array) -> float:
    found, right, both, found2, right2 = means
    spread = max(found2 - found**2, 0.0) * max(right2 - right**2, 0.0)
    return float((both - found * right) / np.sqrt(spread)) if spread > 1e-18 else 0.0


def _spearman(answers: Answers) -> float:
    return _pearson(_ranked(answers))


def _rank_moments(answers: Answers) -> Array:
    return _moments(_ranked(answers))


def _ranked(answers: Answers) -> Answers:
    """Return ranks for values, ties at their mean rank, scaled to 0 to 1 (Spearman, 1904)."""
    from scipy.stats import rankdata

    n = max(answers.n_rows, 1)
    found, right = rankdata(answers.predicted) / n, rankdata(answers.labels) / n
    return Answers(found, right, answers.names)


def _entity_f1(answers: Answers) -> float:
    from seqeval.metrics import f1_score

    return float(f1_score(*answers.tags, zero_division=0))


def _entity_counts(answers: Answers) -> Array:
    from seqeval.metrics.sequence_labeling import get_entities

    counts = []
    for right, found in zip(*answers.tags, strict=True):
        these, those = set(get_entities(right)), set(get_entities(found))
        counts.append((len(these & those), len(those), len(these)))
    return np.array(counts, dtype=np.float64).reshape(-1, 3)


def _words_right(answers: Answers) -> Array:
    assert answers.offsets is not None
    right = np.concatenate([[0], np.cumsum(answers.predicted == answers.labels)])
    return np.stack([np.diff(right[answers.offsets]), np.diff(answers.offsets)], axis=1) * 1.0


def _ratio(means: Array) -> float:
    return float(means[0] / means[1]) if means[1] else 0.0


def _hits(found: NDArray[np.bool_], right: NDArray[np.bool_]) -> Array:
    """Return hits, found and right of each row and class, (n, 3 C)."""
    return np.concatenate([found & right, found, right], axis=1).astype(np.float64)


def _f1_of_means(means: Array) -> float:
    """Return the mean of the classes' F1, those left out that occur on neither side."""
    hits, found, right = np.split(means, 3)
    occurs = found + right > 0
    scores = 2 * hits[occurs] / (found + right)[occurs]
    return float(scores.mean()) if len(scores) else 0.0


def _tensor(values: NDArray[Any]) -> "Tensor":
    import torch

    return torch.from_numpy(np.ascontiguousarray(values if values.dtype != bool else values + 0))


ACCURACY = Metric("accuracy", _accuracy, _right, _first)
_BY_KIND: dict[str, tuple[Metric, ...]] = {
    "classification": (
        ACCURACY,
        Metric("macro_f1", _macro_f1, _class_counts, _f1_of_means),
        Metric("f1", _f1, _f1_counts, _f1_of_means),
        Metric("matthews", _matthews, _class_counts, _matthews_of_means, lowest=-1.0),
    ),
    "multilabel": (
        Metric("micro_f1", _micro_f1_of_several, _pooled_counts, _f1_of_means),
        Metric("macro_f1", _macro_f1_of_several, _all_labels_counts, _f1_of_means),
        Metric("accuracy", _exact, _exact_counts, _first),
    ),
    "regression": (
        Metric("pearson", _pearson, _moments, _pearson_of_means, lowest=-1.0),
        Metric("spearman", _spearman, _rank_moments, _pearson_of_means, lowest=-1.0),
    ),
    "tagging": (
        Metric("entity_f1", _entity_f1, _entity_counts, _f1_of_means),
        Metric("accuracy", lambda a: _accuracy(a) if len(a.labels) else 0.0, _words_right, _ratio),
    ),
}


REGRESSION, TAGGING = _BY_KIND["regression"], _BY_KIND["tagging"]


def get_metric(kind: str, name: str) -> Metric:
    """Return the metric of this name for tasks of that kind."""
    return next(metric for metric in _BY_KIND[kind] if metric.name == name)
