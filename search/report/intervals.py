"""How sure a score or a difference is: 95 % intervals over seeds and rows at once.

A configuration has been trained a few times, and all its runs answered the same rows. Another
training and other rows would both have given another score, so the score of run s on row i is taken
as m + seed_s + row_i + rest_si, crossed random effects without replication, and the variance of the
mean over S runs and n rows has three parts (Searle, Casella & McCulloch, 1992, ch. 4):

    rows     var_i(mean over runs) / n       holds the rows' part and the rest's
    seeds    var_s(mean over rows) / S       holds the seeds' part and the rest's again
    rest     of the residuals, once too much in their sum, so it is taken off the seeds

Of a difference, rows are paired: their part is of the differences row by row. Seeds are not: both
sides have a part. Few seeds say little of their own variance, so the interval is Student's t with
the degrees of freedom of Welch and Satterthwaite (1946), in which the seeds' part counts as it was
before the rest is taken off, and never more than the sum: three seeds that agree by chance would
make a p-value far too small for Holm's correction otherwise (15 % of families with a false alarm).

Why no bootstrap over seeds and rows: of 3 seeds it sees 2/3 of their variance and takes normal
quantiles. In the simulations of the tests its 95 % intervals cover 80 to 88 % where seeds matter,
and 99 % where they do not (a row drawn again for each seed counts the rest thrice; Owen, 2007).
These here cover 95 to 97 %, 99 % where seeds do not matter, and of families of eight tasks 5 % have
a false alarm.

Where only one training of a configuration is there, the other side's variance of seeds stands for
it; where there is none either, the interval is over rows alone. For accuracy half a row is added to
each of the four cells of a task's table (right or wrong, by two models) for the width alone:
without it, models that never differ on ten rows would be called equal for certain (Agresti & Min,
2005). Other metrics go by the delta method. Shapes: S runs, n rows.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from search.report.statistics import CONFIDENCE, Difference, OfTask, Rows, Score, Scored

POWER = 0.8
_SINGLE_ROW = 1.0  # variance of one row of which nothing is known

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Runs:
    """What the trainings of one configuration got right, or a baseline.

    Args:
        rows: One for each training.
        fixed: Training it again changes nothing, as with a linear baseline.
    """

    rows: tuple[Rows, ...]
    fixed: bool = False

    def has(self, task: str) -> bool:
        return len(self.rows[0][task]) > 0


@dataclass(frozen=True)
class _OfSeeds:
    """What the seeds of one side add to the variance of a mean, and the rest that is in it too."""

    variance: float
    rest: float
    freedom: int


@dataclass(frozen=True)
class _Spread:
    """The variance of a mean, in its parts."""

    rows: float
    seeds: tuple[_OfSeeds, ...]

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


def difference(first: Runs, second: Runs, tasks: Iterable[str]) -> Difference | None:
    """Return how much better `first` scores than `second`, on the mean over the tasks.

    Returns:
        None when none of the tasks has rows.
    """
    chosen = [task for task in tasks if first.has(task)]
    if not chosen:
        return None
    sides = [{task: _values(runs, task) for task in chosen} for runs in (first, second)]
    mean = sum(float(sides[0][task].mean() - sides[1][task].mean()) for task in chosen)
    mean /= len(chosen)
    apart = {task: sides[0][task].mean(0) - sides[1][task].mean(0) for task in chosen}
    of_rows = sum(_of_differences(apart[t], is_accuracy=_is_accuracy(first, t)) for t in chosen)
    spread = _Spread(of_rows / len(chosen) ** 2, _seeds((first, second), sides))
    width, p = _width_and_p(mean, spread)
    return Difference(
        mean=mean,
        low=max(mean - width, -1.0),
        high=min(mean + width, 1.0),
        rows=sum(side.shape[1] for side in sides[0].values()),
        p=p,
        detectable=(_quantile((1 + CONFIDENCE) / 2, spread) + _quantile(POWER, spread))
        * spread.error,
    )


def score(runs: Runs, tasks: Iterable[str]) -> Score | None:
    """Return the mean over the tasks of their scores; None when none of them has rows."""
    chosen = [task for task in tasks if runs.has(task)]
    if not chosen:
        return None
    side = {task: _values(runs, task) for task in chosen}
    mean = sum(float(values.mean()) for values in side.values()) / len(chosen)
    of_rows = sum(_of_scores(side[t].mean(0), is_accuracy=_is_accuracy(runs, t)) for t in chosen)
    spread = _Spread(of_rows / len(chosen) ** 2, _seeds((runs,), [side]))
    width, _ = _width_and_p(mean, spread)
    return Score(
        mean=mean,
        low=max(mean - width, -1.0),
        high=min(mean + width, 1.0),
        rows=sum(values.shape[1] for values in side.values()),
        seeds=len(runs.rows),
    )


def holm(values: Sequence[float]) -> list[float]:
    """Return the p-values after Holm's correction (1979): at most so many false alarms in all.

    That any of those with an adjusted value of at most 0.05 is one has a chance of at most 5 %.
    """
    adjusted = [0.0] * len(values)
    largest = 0.0
    for place, at in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - place) * values[at]))
        adjusted[at] = largest
    return adjusted


def _values(runs: Runs, task: str) -> Values:
    """Return what each row adds to the score of each run, (S, n); its mean is the score."""
    return np.stack([_of_one(rows[task]) for rows in runs.rows])


def _of_one(rows: OfTask) -> Values:
    if isinstance(rows, Scored):
        return rows.mean() + rows.influences()
    return rows.astype(np.float64)


def _is_accuracy(runs: Runs, task: str) -> bool:
    return not isinstance(runs.rows[0][task], Scored)


def _of_differences(values: Values, *, is_accuracy: bool) -> float:
    """Return the variance of the mean of differences row by row, (n,)."""
    if not is_accuracy:
        return _plain(values)
    n = len(values) + 2  # half a row won, half a row lost, one row alike
    return float(((values**2).sum() + 1 - values.sum() ** 2 / n) / n**2)


def _of_scores(values: Values, *, is_accuracy: bool) -> float:
    """Return the variance of the mean of the rows, (n,); one right and one wrong are added."""
    if not is_accuracy:
        return _plain(values)
    n = len(values) + 2
    return float(((values**2).sum() + 1 - (values.sum() + 1) ** 2 / n) / n**2)


def _plain(values: Values) -> float:
    return float(values.var(ddof=1) / len(values)) if len(values) > 1 else _SINGLE_ROW


def _seeds(runs: Sequence[Runs], sides: Sequence[dict[str, Values]]) -> tuple[_OfSeeds, ...]:
    """Return what the seeds of each side add that is not fixed, as far as it can be known."""
    known = {
        at: _of_seeds(list(side.values()))
        for at, side in enumerate(sides)
        if len(runs[at].rows) > 1
    }
    found = []
    for at, one in enumerate(runs):
        if not one.fixed and known:
            n, single = len(one.rows), known.get(at) or next(iter(known.values()))
            found.append(_OfSeeds(single.variance / n, single.rest / n, single.freedom))
    return tuple(found)


def _of_seeds(values: Sequence[Values]) -> _OfSeeds:
    """Return how much single trainings differ in the mean over tasks, each (S, n)."""
    n_runs = len(values[0])
    between = np.mean([of_task.mean(1) for of_task in values], axis=0).var(ddof=1)
    rest = 0.0
    for of_task in values:
        means = of_task.mean(1, keepdims=True) + of_task.mean(0) - of_task.mean()
        n = of_task.shape[1]
        if n > 1:
            rest += float(((of_task - means) ** 2).sum()) / ((n_runs - 1) * (n - 1) * n)
    return _OfSeeds(float(between), rest / len(values) ** 2, n_runs - 1)


def _width_and_p(mean: float, spread: _Spread) -> tuple[float, float]:
    """Return half the interval's width, and how likely so large a mean is where there is none."""
    error = spread.error
    width = _quantile((1 + CONFIDENCE) / 2, spread) * error
    if error == 0:
        return width, float(mean == 0)
    if math.isinf(spread.freedom):
        return width, 2 * NormalDist().cdf(-abs(mean) / error)
    from scipy.special import stdtr  # a fifth of a second, which a search does without

    return width, 2 * float(stdtr(spread.freedom, -abs(mean) / error))


def _quantile(share: float, spread: _Spread) -> float:
    if math.isinf(spread.freedom):
        return NormalDist().inv_cdf(share)
    from scipy.special import stdtrit

    return float(stdtrit(spread.freedom, share))
