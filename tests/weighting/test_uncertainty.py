"""Kendall's formula, by hand, and what it learns."""

import math

import pytest
import torch

from mtl_core.weighting.task_weighting import StepLosses
from mtl_core.weighting.uncertainty import Uncertainty, uncertainty_weighted_loss


def test_loss_is_the_formula() -> None:
    losses, log_variances = torch.tensor([0.6, 0.8]), torch.tensor([0.0, math.log(2.0)])

    # 0.6 * 1 + 0 + 0.8 / 2 + ln 2 / 2
    assert uncertainty_weighted_loss(losses, log_variances).item() == pytest.approx(
        0.6 + 0.4 + math.log(2.0) / 2
    )


def test_gradient_of_a_log_variance_is_one_half_less_the_weighted_loss() -> None:
    log_variances = torch.tensor([0.0, math.log(2.0)], requires_grad=True)

    uncertainty_weighted_loss(torch.tensor([0.6, 0.8]), log_variances).backward()

    assert log_variances.grad is not None
    assert log_variances.grad.tolist() == pytest.approx([0.5 - 0.6, 0.5 - 0.4])


def test_a_constant_loss_is_weighted_by_the_inverse_of_twice_itself() -> None:
    log_variances = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([log_variances], lr=0.05)
    for _ in range(500):
        optimizer.zero_grad()
        uncertainty_weighted_loss(torch.tensor([0.25, 2.0]), log_variances).backward()
        optimizer.step()

    assert torch.exp(-log_variances).tolist() == pytest.approx([2.0, 0.25], rel=1e-3)


def test_a_step_of_one_task_holds_that_task_s_term_alone() -> None:
    weighting = Uncertainty(3)
    with torch.no_grad():
        weighting.log_variances.copy_(torch.tensor([5.0, math.log(2.0), 7.0]))
    values = torch.tensor([0.8])

    total = weighting.combine(
        StepLosses(values=values, tasks=(1,), step=0, gradients=lambda: values)
    )
    total.backward()

    assert total.item() == pytest.approx(0.4 + math.log(2.0) / 2)
    assert weighting.log_variances.grad is not None
    assert weighting.log_variances.grad.tolist() == pytest.approx([0.0, 0.1, 0.0])
