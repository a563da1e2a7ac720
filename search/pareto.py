"""The trials that no other beats on everything: mean, worst task, size and speed at once.

A trial is in the set (Pareto's) if none is as good in all respects and better in one. Scores are
the shrunken estimates; raw ones would fill it with lucky trials.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.costs import Cost
from search.objectives import AVERAGE, WORST_TASK
from search.selection import Selection


@dataclass(frozen=True, slots=True)
class Option:
    """A trial of the set, with the estimates and costs that put it there."""

    trial: str
    average: float
    worst_task: float
    parameters: int
    flops_per_text: float


def pareto_set(found: Selection, costs: Mapping[str, Cost]) -> list[Option]:
    """Return the set, the best on average first; empty where no trial has all scores and costs."""
    if AVERAGE not in found.winners or WORST_TASK not in found.winners:
        return []
    average, worst = found.estimates[AVERAGE], found.estimates[WORST_TASK]
    options = [
        Option(
            trial=trial,
            average=float(average.mean[at]),
            worst_task=float(worst.mean[at]),
            parameters=costs[trial].parameters,
            flops_per_text=costs[trial].flops_per_text,
        )
        for at, trial in enumerate(found.trials)
        if average.scored[at] and trial in costs
    ]
    rows = [(o.average, o.worst_task, -o.parameters, -o.flops_per_text) for o in options]
    kept = undominated(np.array(rows).reshape(-1, 4))
    return sorted((options[at] for at in np.flatnonzero(kept)), key=lambda option: -option.average)


def undominated(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows (N, criteria), more being better, no other dominates; twins both stay."""
    kept = np.ones(len(values), np.bool_)
    for at, row in enumerate(values):
        as_good, better = (values >= row).all(1), (values > row).any(1)
        kept[at] = not (as_good & better).any()
    return kept
