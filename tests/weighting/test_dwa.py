"""Dynamic weight averaging, by hand."""

import math

import pytest
import torch

from mtl_core.weighting.dwa import DynamicWeightAverage, dwa_weights
from mtl_core.weighting.task_weighting import StepLosses


def weights_of(weighting: DynamicWeightAverage) -> list[float]:
    values = torch.ones(2, requires_grad=True)
    losses = StepLosses(values=values, tasks=(0, 1), step=0, gradients=lambda: values)
    return torch.autograd.grad(weighting.combine(losses), values)[0].tolist()


def test_weights_are_the_softmax_of_the_ratios() -> None:
    weights = dwa_weights(torch.tensor([0.4, 0.9]), torch.tensor([0.8, 0.9]), 2.0)

    slow = math.exp(1.0 / 2)
    fast = math.exp(0.5 / 2)
    assert weights.tolist() == pytest.approx([2 * fast / (fast + slow), 2 * slow / (fast + slow)])


def test_first_two_epochs_count_tasks_alike_and_the_third_by_the_ratio() -> None:
    weighting = DynamicWeightAverage(2, 2.0)
    first = weights_of(weighting)
    weighting.end_epoch(torch.tensor([0.8, 0.9]))
    second = weights_of(weighting)
    weighting.end_epoch(torch.tensor([0.4, 0.9]))
    third = weights_of(weighting)

    assert first == second == [1.0, 1.0]
    share = 1 / (1 + math.exp(0.25))
    assert third == pytest.approx([2 * share, 2 * (1 - share)])


def test_only_the_last_two_epochs_count() -> None:
    weighting, short = DynamicWeightAverage(2, 2.0), DynamicWeightAverage(2, 2.0)
    weighting.end_epoch(torch.tensor([9.0, 1.0]))
    for epoch in ([0.8, 0.9], [0.4, 0.9]):
        weighting.end_epoch(torch.tensor(epoch))
        short.end_epoch(torch.tensor(epoch))

    assert weights_of(weighting) == weights_of(short)


def test_a_loss_of_nought_does_not_spoil_the_weights() -> None:
    weights = dwa_weights(torch.tensor([0.1, 0.5]), torch.tensor([0.0, 0.5]), 2.0)

    assert weights.tolist() == [1.0, 1.0]
