"""What trials are worth under one objective: as seen, shrunken, and how likely each is the best.

Linear objectives have their estimate from the posterior's mean; the worst task, the errors and the
probabilities come from draws of it (`pooling.py`). Shapes: N trials, K tasks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from search.objectives import Objective
from search.pooling import Pooled

Floats = NDArray[np.float64]
MOST_DRAWS, FEWEST_DRAWS = 2_000, 150
DRAWN = 10_000_000  # numbers that are drawn in all, within these bounds


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one trial is worth under one objective.

    Args:
        raw: As seen on dev; NaN where a task that counts has no score.
        mean, error: Shrunken estimate and its standard error, as shares (0.01 is one point).
        probability_best: That no other trial is better; 0 for one that was not scored.
    """

    raw: float
    mean: float
    error: float
    probability_best: float

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return bounds that hold the true score with this probability."""
        width = NormalDist().inv_cdf((1 + confidence) / 2) * self.error
        return self.mean - width, self.mean + width


@dataclass(frozen=True, eq=False)
class Estimates(Mapping[str, Estimate]):
    """The estimates of all trials under one objective, by trial; also as arrays, each (N,)."""

    trials: Sequence[str]
    raw: Floats
    mean: Floats
    error: Floats
    probability_best: Floats

    def __getitem__(self, trial: str) -> Estimate:
        at = self._places[trial]
        arrays = (self.raw, self.mean, self.error, self.probability_best)
        return Estimate(*(float(array[at]) for array in arrays))

    def __iter__(self) -> Iterator[str]:
        return iter(self.trials)

    def __len__(self) -> int:
        return len(self.trials)

    def best(self, among: NDArray[np.bool_] | None = None) -> int | None:
        """Return the place of the best by the shrunken estimate; None where none was scored."""
        return _largest(self.mean, ~np.isnan(self.raw) if among is None else among & self.scored)

    def raw_best(self) -> int | None:
        """Return the place of the one that looks best."""
        return _largest(self.raw, self.scored)

    @property
    def scored(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.raw)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {trial: at for at, trial in enumerate(self.trials)}


def estimate_all(
    trials: Sequence[str],
    scores: Floats,
    pooled: Pooled,
    shared: Floats,
    objectives: Mapping[str, Objective],
    rng: np.random.Generator,
) -> dict[str, Estimates]:
    """Return the estimates under each objective, from the same draws.

    Args:
        shared: Variance of the noise that is the same for all trials, by task (K,). It is in the
            errors, since rows are only some of those that a task could have, and in no choice.
    """
    raw = {name: objective.of(scores) for name, objective in objectives.items()}
    tallies = {name: _Tally(objective, pooled, raw[name]) for name, objective in objectives.items()}
    count = int(np.clip(DRAWN // scores.size, FEWEST_DRAWS, MOST_DRAWS))
    for drawn in pooled.draws(rng, count):
        luck = rng.standard_normal((len(drawn), 1, len(shared))) * np.sqrt(shared)
        drawn += luck.astype(np.float32)
        drawn = drawn.transpose(2, 0, 1).copy().transpose(1, 2, 0)  # a task's numbers lie together
        for tally in tallies.values():
            tally.add(drawn)
    return {name: Estimates(trials, raw[name], *tally.results()) for name, tally in tallies.items()}


class _Tally:
    """Sums over draws of one objective."""

    def __init__(self, objective: Objective, pooled: Pooled, raw: Floats) -> None:
        self._objective = objective
        self._about = objective.of(pooled.mean)  # (N,)
        self._scored = np.flatnonzero(~np.isnan(raw))
        self._count = 0
        self._sum, self._squares, self._best = (np.zeros(len(raw)) for _ in range(3))

    def add(self, drawn: NDArray[np.float32]) -> None:
        """Take in draws, (draws, N, K)."""
        values = self._objective.of(drawn)
        off = values - self._about.astype(np.float32)
        self._count += len(values)
        self._sum += off.sum(0)
        self._squares += np.einsum("ij,ij->j", off, off)
        if len(self._scored):
            best = self._scored[values[:, self._scored].argmax(1)]
            self._best += np.bincount(best, minlength=len(self._best))

    def results(self) -> tuple[Floats, Floats, Floats]:
        """Return mean, standard error and probability of being best."""
        off = self._sum / self._count
        variance = np.maximum(self._squares / self._count - off**2, 0.0)
        mean = self._about if self._objective.weights is not None else self._about + off
        return mean, np.sqrt(variance), self._best / self._count


def _largest(values: Floats, among: NDArray[np.bool_]) -> int | None:
    if not among.any():
        return None
    return int(np.where(among, values, -np.inf).argmax())
