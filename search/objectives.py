"""What a study maximises, from the tasks' scores: their mean, the worst, a named one, or weighted.

`search.objective` says it: `mean`, `worst_task`, `task:books`, or weights by task name. Scores are
taken as they are, whatever their metric; the mean stands in one order on every scale, while the
worst task of different metrics is the one whose number is lowest. Shapes: K tasks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtl_core.errors import suggest

AVERAGE, WORST_TASK, WEIGHTED, TASK = "average", "worst_task", "weighted", "task:"
MEAN = "mean"

Spec = str | Mapping[str, float]


@dataclass(frozen=True)
class Objective:
    """A number to be maximised.

    Args:
        name: "average", "worst_task", "task:<name>" or "weighted", as leaders are named.
        weights: How much each task counts, of sum 1; None: the worst counts alone.
        tasks: Their names.
    """

    name: str
    weights: tuple[float, ...] | None
    tasks: tuple[str, ...]

    def of(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return its value for scores (..., K); NaN where a task that counts has none."""
        if self.weights is None:
            return scores.min(-1)
        weights = np.array(self.weights, scores.dtype)
        counts = np.flatnonzero(weights)
        if len(counts) == 1:
            return scores[..., counts[0]]
        return scores[..., counts] @ weights[counts]

    def needs_only(self, known: NDArray[np.bool_]) -> bool:
        """Whether the tasks that count are all among these, (K,)."""
        return bool(known.all() or (self.weights and not np.array(self.weights)[~known].any()))

    def only(self, known: NDArray[np.bool_]) -> "Objective":
        """Return the objective for these tasks alone, in their order."""
        weights = None if self.weights is None else tuple(compress(self.weights, known))
        return Objective(self.name, weights, tuple(compress(self.tasks, known)))

    def of_scores(self, scores: Mapping[str, float]) -> float:
        """Return its value for the scores of one epoch by task."""
        return float(self.of(np.array([scores.get(task, np.nan) for task in self.tasks])))

    def of_epoch(self, average: float, scores: Mapping[str, float]) -> float:
        """Return its value for an epoch whose mean is known.

        The mean is taken as it was reported: summed anew in another way it can differ in its last
        digit, and of equal epochs a later one would win.
        """
        return average if self.name == AVERAGE else self.of_scores(scores)


def objective_of(spec: Spec, tasks: Sequence[str]) -> Objective:
    """Return the objective that `search.objective` names; it has no fault (`objective_faults`)."""
    names = tuple(tasks)
    if isinstance(spec, Mapping):
        total = sum(spec.values())
        return Objective(WEIGHTED, tuple(spec.get(task, 0.0) / total for task in tasks), names)
    if spec == WORST_TASK:
        return Objective(WORST_TASK, None, names)
    if spec == MEAN:
        return Objective(AVERAGE, (1 / max(1, len(names)),) * len(names), names)
    chosen = spec.removeprefix(TASK)
    return Objective(TASK + chosen, tuple(float(task == chosen) for task in names), names)


def all_objectives(first: Objective, tasks: Sequence[str]) -> dict[str, Objective]:
    """Return by name what trials are judged by: the study's objective, mean, worst, each task."""
    specs = [MEAN, WORST_TASK, *(TASK + task for task in tasks)]
    found = [first, *(objective_of(one, tasks) for one in specs)]
    return {objective.name: objective for objective in found}


def objective_faults(spec: Spec, tasks: Sequence[str] | None = None) -> Iterator[str]:
    """Yield what is wrong with `search.objective`; without `tasks` what can be said before them."""
    if isinstance(spec, Mapping):
        yield from _weight_faults(spec, tasks)
    elif spec.startswith(TASK):
        yield from _unknown([spec.removeprefix(TASK)], tasks)
    elif spec not in (MEAN, WORST_TASK):
        yield (
            f"found {spec!r}{suggest(spec, (MEAN, WORST_TASK))}; mean, worst_task, task:NAME or "
            "weights by task name would be right"
        )


def _weight_faults(weights: Mapping[str, float], tasks: Sequence[str] | None) -> Iterator[str]:
    if not any(weight > 0 for weight in weights.values()):
        yield "found no weight above 0, one at least would be right"
    yield from _unknown(weights, tasks)


def _unknown(
    names: Sequence[str] | Mapping[str, float], tasks: Sequence[str] | None
) -> Iterator[str]:
    if tasks is None:
        return
    for name in names:
        if name not in tasks:
            near = suggest(name, tasks) or f"; the tasks are {', '.join(tasks)}"
            yield f"found no task {name!r}{near}"
