"""Weights drawn anew in each step (`random`; random loss weighting, Lin et al., 2022).

w = softmax(z), z from N(0, I), is the method; here it is times K, so that the weights sum to K and
the learning rate and clipping norm mean the same as for the others. It is the control of the
adaptive methods: one that does not beat random weights has shown nothing.
"""

import numpy as np
from torch import Tensor

from mtl_core.seeding import stream
from mtl_core.weighting.task_weighting import StepLosses, TaskWeighting


class RandomWeights(TaskWeighting):
    """Draws depend on the seed and the step alone, so a continued run draws the same."""

    def __init__(self, n_tasks: int, seed: int) -> None:
        super().__init__()
        self.n_tasks, self.seed = n_tasks, seed

    def combine(self, losses: StepLosses) -> Tensor:
        draw = stream(self.seed, "random_weights", losses.step).standard_normal(self.n_tasks)
        return losses.weighted(random_weights(draw).tolist())


def random_weights(draw: np.ndarray) -> np.ndarray:
    """Return K softmax(`draw`), shape (K,)."""
    powers = np.exp(draw - draw.max())
    return len(draw) * powers / powers.sum()
