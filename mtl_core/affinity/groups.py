"""Which tasks belong together, from how they relate: a tree, and the cut that holds up.

The symmetrised affinity of two tasks is taken apart into a level of each of them and what is left
over (least squares): a task that goes well with all others, or with none, is by that in no group.
The tree is average linkage (UPGMA) on the distance "largest of these rests, less the rest"; of
fewer than four tasks, whose levels explain every pair, on the affinities as they are.

A tree can be cut anywhere, and random numbers make a tree too. So the cut is chosen, and allowed,
by measurements that it was not made from: the tree of the even ones is cut into k groups, and each
odd one says by how much the tasks of a group are closer to each other than to the group nearest to
them; and the other way round. The k with the largest mean margin is taken if that margin is above
zero beyond the noise of its measurements (one-sided t test, its level divided by the number of k
tried). Otherwise there is one group: no grouping stands out. (The silhouette is not defined for one
group, and has no noise.)

All measurements are of one training, so what its random start does to the tasks is in all of them,
and is no noise here. Of eight tasks made alike, cosines showed groups in five of 16 trainings and
look-ahead in one, other groups each time. Shapes: M measurements, K tasks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.stats import t as student

# Both halves choose and both are tested, which is not quite a test on other data: at a level of 5 %
# noise alone makes groups of 4 tasks in a tenth of all cases, at a third of it in about 5 %.
LEVEL = 0.05 / 3
FEWEST_TASKS, FEWEST_MEASUREMENTS = 4, 4

Matrix = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """The tree of the tasks, and its cut.

    Args:
        linkage: As SciPy has it, (K - 1, 4).
        groups: Numbers of the tasks of each group; one group where none stands out.
        margin: How much closer tasks are to their own group than to the nearest other one, in the
            best cut, in standard deviations of the mean rests; None where no cut can be tried.
        standard_error: Of the margin.
    """

    linkage: Matrix
    groups: tuple[tuple[int, ...], ...]
    margin: float | None = None
    standard_error: float | None = None

    @property
    def stands_out(self) -> bool:
        return len(self.groups) > 1


def group(measurements: Matrix) -> Grouping:
    """Return the tree of the mean of the measurements, (M, K, K), and its cut; K is 2 or more."""
    n_tasks = measurements.shape[1]
    rests = np.stack([without_levels(one) for one in measurements])
    whole, together = tree(rests.mean(0)), (tuple(range(n_tasks)),)
    spread = float(pairs(rests.mean(0)).std())
    if n_tasks < FEWEST_TASKS or len(rests) < FEWEST_MEASUREMENTS or not spread:
        return Grouping(linkage=whole, groups=together)
    sizes = range(2, n_tasks // 2 + 1)
    margins = np.stack([_held_out(rests, k) for k in sizes]) / spread  # (sizes, M)
    best = int(margins.mean(1).argmax())
    mean = float(margins[best].mean())
    error = float(margins[best].std(ddof=1) / np.sqrt(len(rests)))
    needed = student.ppf(1 - LEVEL / len(sizes), len(rests) - 1)
    chosen = together if mean <= needed * error else _members(cut(whole, sizes[best]))
    return Grouping(linkage=whole, groups=chosen, margin=mean, standard_error=error)


def symmetric(matrix: Matrix) -> Matrix:
    return (matrix + matrix.T) / 2


def pairs(matrix: Matrix) -> Matrix:
    """Return the entries of the pairs of tasks, symmetrised, (K (K - 1) / 2,)."""
    return symmetric(matrix)[np.triu_indices(len(matrix), 1)]


def without_levels(matrix: Matrix) -> Matrix:
    """Return the symmetrised matrix less the tasks' levels, (K, K); the diagonal is 0.

    Of fewer than four tasks the levels stay.
    """
    found, count = symmetric(matrix), len(matrix)
    np.fill_diagonal(found, 0.0)
    if count >= FEWEST_TASKS:
        sums = found.sum(1)
        levels = (sums - sums.sum() / (2 * (count - 1))) / (count - 2)
        found -= levels[:, None] + levels
        np.fill_diagonal(found, 0.0)
    return found


def of_layers(matrices: Matrix) -> Matrix:
    """Return the mean over layers, (L, K, K), of what levels leave over, each layer in its own
    standard deviations, so that a layer counts no more for spreading further."""
    found = [without_levels(layer) for layer in matrices]
    return np.mean([layer / (pairs(layer).std() or 1.0) for layer in found], axis=0)


def tree(matrix: Matrix) -> Matrix:
    """Return the linkage of affinities, at distances from the closest pair."""
    found = pairs(matrix)
    return linkage(found.max() - found, method="average")


def cut(linked: Matrix, k: int) -> NDArray[np.int64]:
    """Return the number of each task's group, from 0, for at most k groups."""
    return fcluster(linked, k, criterion="maxclust").astype(np.int64) - 1


def margin(matrix: Matrix, of_tasks: NDArray[np.int64]) -> float:
    """Return how much closer tasks are to the others of their group than to the nearest group.

    The mean over the tasks; one that is alone counts 0.

    Args:
        of_tasks: Group of each task, (K,).
    """
    affinity = symmetric(matrix)
    member = (of_tasks[:, None] == np.unique(of_tasks)).astype(float)  # (K, groups)
    if member.shape[1] < 2:
        return 0.0
    np.fill_diagonal(affinity, 0.0)
    others = member.sum(0) - member  # how many of each group, without oneself
    means = affinity @ member / np.maximum(others, 1)
    own = (means * member).sum(1)
    nearest = np.where(member > 0, -np.inf, means).max(1)
    alone = (others * member).sum(1) == 0
    return float(np.where(alone, 0.0, own - nearest).mean())


def _held_out(rests: Matrix, k: int) -> Matrix:
    """Return the margin of each measurement, with groups of the measurements of the other half."""
    even = np.arange(len(rests)) % 2 == 0
    of_half = {half: cut(tree(rests[even == half].mean(0)), k) for half in (True, False)}
    return np.array(
        [margin(one, of_half[not is_even]) for one, is_even in zip(rests, even, strict=True)]
    )


def _members(of_tasks: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    """Return the tasks of each group, groups in the order of their first task."""
    groups = [tuple(np.flatnonzero(of_tasks == at).tolist()) for at in np.unique(of_tasks)]
    return tuple(sorted(groups))
