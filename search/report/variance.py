"""What rows and seeds add to the variance of a mean over several trainings of a configuration.

Another training and other rows would both have given another score, so the score of run s on row i
is taken as m + seed_s + row_i + rest_si, crossed random effects without replication, and the
variance of the mean over S runs and n rows has three parts (Searle, Casella & McCulloch, 1992):

    rows     var_i(mean over runs) / n       holds the rows' part and the rest's
    seeds    var_s(mean over rows) / S       holds the seeds' part and the rest's again
    rest     of the residuals, once too much in their sum, so it is taken off the seeds

Of a difference, rows are paired: their part is of the differences row by row. Seeds are not: both
sides have a part. Few seeds say little of their own variance, so there are the degrees of freedom
of Welch and Satterthwaite (1946), in which the seeds' part counts as it was before the rest is
taken off, and never more than the sum: three seeds that agree by chance would make a p-value far
too small for Holm's correction otherwise (15 % of families with a false alarm).

Of single tasks the variance of seeds is half the task's own and half the mean over the tasks, which
are many where seeds are few (as Smyth, 2004, does for genes). Where only one training is there, the
other side's variance of seeds stands for it.

For accuracy half a row is added to each of the four cells of a task's table (right or wrong, by two
models) for the width alone: without it, models that never differ on ten rows would be called equal
for certain (Agresti & Min, 2005). Other metrics go by the delta method. Shapes: S runs, n rows.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Side = Mapping[str, Values]  # of one configuration, by task: what each row adds, (S, n)

_SINGLE_ROW = 1.0  # variance of one row of which nothing is known


@dataclass(frozen=True)
class OfSeeds:
    """What the seeds of one side add to the variance of a mean, and the rest that is in it too."""

    variance: float
    rest: float
    freedom: float


@dataclass(frozen=True)
class Spread:
    """The variance of a mean, in its parts."""

    rows: float
    seeds: tuple[OfSeeds, ...]

    @property
    def error(self) -> float:
        of_seeds = sum(side.variance - side.rest for side in self.seeds)
        return math.sqrt(self.rows + max(of_seeds, 0.0))

    @property
    def freedom(self) -> float:
        """Return Satterthwaite's degrees of freedom; those of the rows are as good as infinite."""
        below = sum(side.variance**2 / side.freedom for side in self.seeds)
        least = min((side.freedom for side in self.seeds), default=1)
        return max(self.error**4 / below, least) if below else math.inf


def of_differences(values: Values, *, is_accuracy: bool) -> float:
    """Return the variance of the mean of differences row by row, (n,)."""
    if not is_accuracy:
        return _plain(values)
    n = len(values) + 2  # half a row won, half a row lost, one row alike
    return float(((values**2).sum() + 1 - values.sum() ** 2 / n) / n**2)


def of_scores(values: Values, *, is_accuracy: bool) -> float:
    """Return the variance of the mean of the rows, (n,); one right and one wrong are added."""
    if not is_accuracy:
        return _plain(values)
    n = len(values) + 2
    return float(((values**2).sum() + 1 - (values.sum() + 1) ** 2 / n) / n**2)


def _plain(values: Values) -> float:
    return float(values.var(ddof=1) / len(values)) if len(values) > 1 else _SINGLE_ROW


def known_of(sides: Sequence[Side]) -> dict[int, OfSeeds]:
    """Return what single trainings of each side differ by, of those that have several."""
    return {at: _of_seeds(list(side.values())) for at, side in enumerate(sides) if n_runs(side) > 1}


def known_by_task(sides: Sequence[Side]) -> dict[str, dict[int, OfSeeds]]:
    """Return the same for each task by itself: half its own, half the mean over the tasks."""
    found: dict[str, dict[int, OfSeeds]] = {task: {} for task in sides[0]}
    for at, side in enumerate(sides):
        if n_runs(side) > 1:
            own = {task: _of_seeds([values]) for task, values in side.items()}
            variance = sum(one.variance for one in own.values()) / len(own)
            rest = sum(one.rest for one in own.values()) / len(own)
            more = min(2.0, 1 / (0.25 + 0.75 / len(own)))  # were the tasks alike, up to 4
            for task, one in own.items():
                halves = ((one.variance + variance) / 2, (one.rest + rest) / 2)
                found[task][at] = OfSeeds(*halves, one.freedom * more)
    return found


def of_means(
    sides: Sequence[Side], fixed: Sequence[bool], known: Mapping[int, OfSeeds]
) -> tuple[OfSeeds, ...]:
    """Return what the seeds of each side that is not fixed add to the mean over its runs.

    A side with one run has what is known of the other.
    """
    found = []
    for at, side in enumerate(sides):
        if known and not fixed[at]:
            n, single = n_runs(side), known.get(at) or next(iter(known.values()))
            found.append(OfSeeds(single.variance / n, single.rest / n, single.freedom))
    return tuple(found)


def n_runs(side: Side) -> int:
    """Return how many trainings there are; 0 where there are no tasks."""
    return max((len(values) for values in side.values()), default=0)


def _of_seeds(values: Sequence[Values]) -> OfSeeds:
    """Return how much single trainings differ in the mean over tasks, each (S, n)."""
    n_runs = len(values[0])
    between = np.mean([of_task.mean(1) for of_task in values], axis=0).var(ddof=1)
    rest = 0.0
    for of_task in values:
        means = of_task.mean(1, keepdims=True) + of_task.mean(0) - of_task.mean()
        n = of_task.shape[1]
        if n > 1:
            rest += float(((of_task - means) ** 2).sum()) / ((n_runs - 1) * (n - 1) * n)
    return OfSeeds(float(between), rest / len(values) ** 2, n_runs - 1)
