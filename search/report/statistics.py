"""What is kept of a task's rows, and what a score or a difference is.

Tasks count alike whatever their size (the mean over the tasks of their scores); their rows are the
strata. Of accuracy, arrays hold one bool a row: right or wrong; of any other metric, `Scored` holds
what each row adds to it. Intervals are in `intervals.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True, kw_only=True)
class Score:
    """A mean score and its interval, as shares (0.01 is one point).

    Args:
        rows: Test rows it rests on, over all tasks.
        seeds: Trainings it is the mean of; with one, the interval is over rows alone.
    """

    mean: float
    low: float
    high: float
    rows: int
    seeds: int = 1


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A mean difference of scores and its interval, as shares (0.01 is one point).

    Args:
        rows: Test rows it rests on, over all tasks.
        p: Of no difference, two-sided.
        detectable: The smallest true difference that would have been seen with 80 % power;
            None where not even the largest that there can be.
        adjusted: `p` after Holm's correction, where the difference is one of a family of tasks.
        one_seed: No side was trained twice, so the interval is over rows alone.
    """

    mean: float
    low: float
    high: float
    rows: int
    p: float | None = None
    detectable: float | None = None
    adjusted: float | None = None
    one_seed: bool = False

    @property
    def sign(self) -> int:
        """Return 1 (better), -1 (worse), or 0 where no difference is seen."""
        if self.adjusted is None:
            return int(self.low > 0) - int(self.high < 0)
        if self.adjusted > 1 - CONFIDENCE:
            return 0
        return 1 if self.mean > 0 else -1


def mean_score(correct: Rows, tasks: Iterable[str]) -> float | None:
    """Return the mean over the tasks of their scores; tasks without rows are left out."""
    shares = [float(correct[task].mean()) for task in tasks if len(correct[task])]
    return sum(shares) / len(shares) if shares else None


def only(correct: Rows, keep: Mapping[str, NDArray[np.bool_]]) -> dict[str, OfTask]:
    """Return the rows of each task where `keep` holds."""
    return {task: rows[keep[task]] for task, rows in correct.items()}
