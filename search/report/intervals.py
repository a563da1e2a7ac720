"""How sure a score or a difference is: 95 % intervals over seeds and rows at once.

What seeds and rows add is in `variance.py`; the intervals are Student's t with the degrees of
freedom that are told there.

Why no bootstrap over seeds and rows: of 3 seeds it sees 2/3 of their variance and takes normal
quantiles. In the simulations of the tests its 95 % intervals cover 80 to 88 % where seeds matter,
and 99 % where they do not (a row drawn again for each seed counts the rest thrice; Owen, 2007).
These here cover 95 to 97 %, 99 % where seeds do not matter, and of families of eight tasks 5 % have
a false alarm.

Where no configuration has a second training, the interval is over rows alone. Shapes: S runs, n
rows.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from search.report.statistics import CONFIDENCE, Difference, OfTask, Rows, Score, Scored
from search.report.variance import (
    OfSeeds,
    Side,
    Spread,
    Values,
    known_by_task,
    known_of,
    of_differences,
    of_means,
    of_scores,
)

POWER = 0.8
ROUNDING = 1e-12  # of a difference: equal scores are summed up in another order


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


def difference(first: Runs, second: Runs, tasks: Iterable[str]) -> Difference | None:
    """Return how much better `first` scores than `second`, on the mean over the tasks.

    Returns:
        None when none of the tasks has rows.
    """
    chosen = [task for task in tasks if first.has(task)]
    if not chosen:
        return None
    sides = _sides((first, second), chosen)
    fixed = (first.fixed, second.fixed)
    return _difference(first, sides, fixed, of_means(sides, fixed, known_of(sides)))


def differences(first: Runs, second: Runs, tasks: Iterable[str]) -> dict[str, Difference]:
    """Return the same of each task that has rows, with more known of what seeds do to them.

    Half of their variance is the task's own, half the mean over the tasks.
    """
    chosen = [task for task in tasks if first.has(task)]
    sides, fixed = _sides((first, second), chosen), (first.fixed, second.fixed)
    known = known_by_task(sides)
    found = {}
    for task in chosen:
        alone = [{task: side[task]} for side in sides]
        found[task] = _difference(first, alone, fixed, of_means(alone, fixed, known[task]))
    return found


def score(runs: Runs, tasks: Iterable[str]) -> Score | None:
    """Return the mean over the tasks of their scores; None when none of them has rows."""
    chosen = [task for task in tasks if runs.has(task)]
    if not chosen:
        return None
    sides = _sides((runs,), chosen)
    return _score(runs, sides[0], of_means(sides, (runs.fixed,), known_of(sides)))


def scores(runs: Runs, tasks: Iterable[str]) -> dict[str, Score]:
    """Return the same of each task that has rows; seeds count as in `differences`."""
    chosen = [task for task in tasks if runs.has(task)]
    sides = _sides((runs,), chosen)
    known = known_by_task(sides)
    found = {}
    for task in chosen:
        alone = {task: sides[0][task]}
        found[task] = _score(runs, alone, of_means([alone], (runs.fixed,), known[task]))
    return found


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


def _difference(
    first: Runs, sides: Sequence[Side], fixed: Sequence[bool], seeds: tuple[OfSeeds, ...]
) -> Difference:
    apart = {task: sides[0][task].mean(0) - sides[1][task].mean(0) for task in sides[0]}
    mean = sum(float(sides[0][t].mean() - sides[1][t].mean()) for t in apart) / len(apart)
    mean = mean if abs(mean) > ROUNDING else 0.0
    of_rows = sum(of_differences(v, is_accuracy=_is_accuracy(first, t)) for t, v in apart.items())
    spread = Spread(of_rows / len(apart) ** 2, seeds)
    width, p = _width_and_p(mean, spread)
    far = (_quantile((1 + CONFIDENCE) / 2, spread) + _quantile(POWER, spread)) * spread.error
    largest = 1.0 - _lowest(first, apart)
    return Difference(
        mean=mean,
        low=max(mean - width, -largest),
        high=min(mean + width, largest),
        rows=sum(len(values) for values in apart.values()),
        p=p,
        detectable=far if far < largest else None,
        one_seed=not (seeds or all(fixed)),
    )


def _score(runs: Runs, side: Side, seeds: tuple[OfSeeds, ...]) -> Score:
    mean = sum(float(values.mean()) for values in side.values()) / len(side)
    of_rows = sum(of_scores(side[t].mean(0), is_accuracy=_is_accuracy(runs, t)) for t in side)
    width, _ = _width_and_p(mean, Spread(of_rows / len(side) ** 2, seeds))
    return Score(
        mean=mean,
        low=max(mean - width, _lowest(runs, side)),
        high=min(mean + width, 1.0),
        rows=sum(values.shape[1] for values in side.values()),
        seeds=len(runs.rows),
    )


def _sides(runs: Sequence[Runs], tasks: Sequence[str]) -> list[dict[str, Values]]:
    return [{task: _values(one, task) for task in tasks} for one in runs]


def _values(runs: Runs, task: str) -> Values:
    """Return what each row adds to the score of each run, (S, n); its mean is the score."""
    return np.stack([_of_one(rows[task]) for rows in runs.rows])


def _of_one(rows: OfTask) -> Values:
    if isinstance(rows, Scored):
        return rows.mean() + rows.influences()
    return rows.astype(np.float64)


def _is_accuracy(runs: Runs, task: str) -> bool:
    return not isinstance(runs.rows[0][task], Scored)


def _lowest(runs: Runs, tasks: Collection[str]) -> float:
    """Return the lowest mean over the tasks that their metrics have."""
    of_tasks = (runs.rows[0][task] for task in tasks)
    lowest = [rows.metric.lowest if isinstance(rows, Scored) else 0.0 for rows in of_tasks]
    return sum(lowest) / len(lowest)


def _width_and_p(mean: float, spread: Spread) -> tuple[float, float]:
    """Return half the interval's width, and how likely so large a mean is where there is none."""
    error = spread.error
    width = _quantile((1 + CONFIDENCE) / 2, spread) * error
    if error == 0:
        return width, float(mean == 0)
    if math.isinf(spread.freedom):
        return width, 2 * NormalDist().cdf(-abs(mean) / error)
    from scipy.special import stdtr  # a fifth of a second, which a search does without

    return width, 2 * float(stdtr(spread.freedom, -abs(mean) / error))


def _quantile(share: float, spread: Spread) -> float:
    if math.isinf(spread.freedom):
        return NormalDist().inv_cdf(share)
    from scipy.special import stdtrit

    return float(stdtrit(spread.freedom, share))
