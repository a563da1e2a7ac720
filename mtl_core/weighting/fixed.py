"""Weights that do not change: `equal`, `static` and `size`.

They sum to K, so that the learning rate and the clipping norm mean the same for all of them; K
tasks of weight 1 are the plain sum, which, tuned well, is as good as most adaptive methods (Kurin
et al., 2022; Xin et al., 2022). In the alternating regime Adam divides the weight out of what a
task has for itself, and only the balance of what tasks share is shifted; how often a task is
sampled (`data/batches.py`) is the more direct lever there.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from mtl_core.errors import ConfigError, check_names
from mtl_core.weighting.task_weighting import StepLosses, TaskWeighting


class FixedWeights(TaskWeighting):
    """The sum of the losses, each times a constant; K `weights`."""

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        self.weights = tuple(weights)

    def combine(self, losses: StepLosses) -> Tensor:
        return losses.weighted(self.weights)


def equal_weights(n_tasks: int) -> list[float]:
    """Every task counts 1."""
    return [1.0] * n_tasks


def static_weights(weights: Mapping[str, float] | None, names: Sequence[str]) -> list[float]:
    """Weights by task name, 1 where a task is not named, scaled to sum to K."""
    if weights is None:
        raise ConfigError('weighting.weights: missing; the method "static" needs a weight by task')
    check_names(weights, names, where="weighting.weights")
    return _sum_to_count([weights.get(name, 1.0) for name in names])


def size_weights(n_rows: Sequence[int], temperature: float) -> list[float]:
    """A task of n train rows counts n^(1/T), scaled to sum to K: w_k = K n_k^(1/T) / sum."""
    largest = max(n_rows)  # as a share of the largest, so that a small T cannot overflow
    return _sum_to_count([(n / largest) ** (1 / temperature) for n in n_rows])


def _sum_to_count(weights: Sequence[float]) -> list[float]:
    total = sum(weights)
    return [len(weights) * weight / total for weight in weights]
