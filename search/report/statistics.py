"""How sure a difference is: paired intervals over test rows, and how lucky the best of many looks.

Two models answer the same rows, so what counts is the rows where one is right and the other wrong.
Tasks count alike whatever their size (the mean over the tasks of their scores); their rows are the
strata. Of accuracy, arrays hold one bool a row: right or wrong; of any other metric, `Scored` holds
what each row adds to it.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mtl_core.metrics import Metric


@dataclass(frozen=True)
class Scored:
    """The rows of a task whose metric is no accuracy.

    Args:
        counts: Of each row, (n, d), as the metric counts them.
    """

    counts: NDArray[np.float64]
    metric: Metric

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, rows: NDArray[np.bool_]) -> "Scored":
        return Scored(self.counts[rows], self.metric)

    def mean(self) -> float:
        """Return the score of all rows."""
        return self.metric.of_means(self.counts.mean(0))

    def influences(self) -> NDArray[np.float64]:
        """Return how far each row moves the score, times n: the delta method, (n,)."""
        means = self.counts.mean(0)
        slopes = np.zeros_like(means)
        for at, mean in enumerate(means):
            step = np.zeros_like(means)
            step[at] = 1e-5 * max(abs(mean), 1.0)
            change = self.metric.of_means(means + step) - self.metric.of_means(means - step)
            slopes[at] = change / (2 * step[at])
        return (self.counts - means) @ slopes


OfTask = NDArray[np.bool_] | Scored
Rows = Mapping[str, OfTask]
CONFIDENCE = 0.95
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A mean difference of accuracies and its interval, as shares (0.01 is one point).

    Args:
        rows: Test rows it rests on, over all tasks.
    """

    mean: float
    low: float
    high: float
    rows: int

    @property
    def sign(self) -> int:
        """Return 1 (better), -1 (worse), or 0 where the interval covers zero."""
        return int(self.low > 0) - int(self.high < 0)


def paired_difference(first: Rows, second: Rows, tasks: Iterable[str]) -> Difference | None:
    """Return how much better `first` scores than `second`, on the same rows.

    Normal approximation; for metrics other than accuracy by the delta method. Of accuracy, half a
    row is added to each of the four cells of a task's table (right or wrong, by two models) for the
    width alone: without it, two models that never differ on ten rows would be called equal for
    certain (Agresti & Min, 2005).

    Returns:
        None when none of the tasks has rows.
    """
    pairs = [(first[task], second[task]) for task in tasks if len(first[task])]
    if not pairs:
        return None
    means = [float(a.mean() - b.mean()) for a, b in pairs]
    width = _Z * math.sqrt(sum(_variance(a, b) for a, b in pairs)) / len(pairs)
    mean = sum(means) / len(means)
    rows = sum(len(a) for a, _ in pairs)
    return Difference(
        mean=mean, low=max(mean - width, -1.0), high=min(mean + width, 1.0), rows=rows
    )


def mean_score(correct: Rows, tasks: Iterable[str]) -> float | None:
    """Return the mean over the tasks of their scores; tasks without rows are left out."""
    shares = [float(correct[task].mean()) for task in tasks if len(correct[task])]
    return sum(shares) / len(shares) if shares else None


def only(correct: Rows, keep: Mapping[str, NDArray[np.bool_]]) -> dict[str, OfTask]:
    """Return the rows of each task where `keep` holds."""
    return {task: rows[keep[task]] for task, rows in correct.items()}


def luck_of_the_best(score: float, n_rows: int, n_trials: int) -> float:
    """Return by how much the best of `n_trials` equally good trials is expected to look too good.

    The expected largest of that many normal errors (Blom, 1958) of one accuracy on `n_rows` rows.
    Trials err on the same rows in part, so this is what it can be at most, as a share.
    """
    if n_trials < 2 or n_rows < 1:
        return 0.0
    error = math.sqrt(max(score * (1 - score), 0.0) / n_rows)
    return error * NormalDist().inv_cdf((n_trials - 0.375) / (n_trials + 0.25))


def _variance(first: OfTask, second: OfTask) -> float:
    """Return the variance of the difference of two scores on the same rows."""
    if isinstance(first, Scored) or isinstance(second, Scored):
        assert isinstance(first, Scored)
        assert isinstance(second, Scored)
        differences = first.influences() - second.influences()
        return float(differences.var(ddof=1) / len(first)) if len(first) > 1 else 1.0
    gained = float((first & ~second).sum()) + 0.5
    lost = float((second & ~first).sum()) + 0.5
    rows = len(first) + 2
    return (gained + lost - (gained - lost) ** 2 / rows) / rows**2
