"""Random loss weighting, by hand, and that its draws follow the seed and the step."""

import math

import numpy as np
import pytest
import torch

from mtl_core.weighting.random_weights import RandomWeights, random_weights
from mtl_core.weighting.task_weighting import StepLosses


def weights_of(weighting: RandomWeights, step: int) -> list[float]:
    values = torch.ones(3, requires_grad=True)
    losses = StepLosses(values=values, tasks=(0, 1, 2), step=step, gradients=lambda: values)
    return torch.autograd.grad(weighting.combine(losses), values)[0].tolist()


def test_weights_are_the_softmax_of_the_draw_times_the_number_of_tasks() -> None:
    weights = random_weights(np.array([0.0, math.log(3.0)]))

    assert weights.tolist() == pytest.approx([0.5, 1.5])


def test_draws_follow_seed_and_step_alone() -> None:
    assert weights_of(RandomWeights(3, 1), step=4) == weights_of(RandomWeights(3, 1), step=4)
    assert weights_of(RandomWeights(3, 1), step=4) != weights_of(RandomWeights(3, 1), step=5)
    assert weights_of(RandomWeights(3, 1), step=4) != weights_of(RandomWeights(3, 2), step=4)


def test_tasks_count_alike_in_the_long_run() -> None:
    weighting = RandomWeights(3, 1)

    mean = np.mean([weights_of(weighting, step) for step in range(800)], axis=0)

    assert mean.tolist() == pytest.approx([1.0, 1.0, 1.0], abs=0.1)
