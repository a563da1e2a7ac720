"""Dynamic weight averaging (`dwa`; Liu, Johns and Davison, 2019): slow tasks count more.

In epoch e a task counts w_k = K exp(r_k / T) / sum_i exp(r_i / T), where r_k = L_k(e-1) / L_k(e-2)
is how much of its loss was left over by the epoch before. The first two epochs have no such ratio
and count all tasks alike, as in the paper.
"""

import torch
from torch import Tensor

from mtl_core.weighting.task_weighting import StepLosses, TaskWeighting


class DynamicWeightAverage(TaskWeighting):
    """Weights of `temperature` T from the mean losses of the last two epochs, newest first."""

    past: Tensor  # (2, K), in nats; NaN where there was no such epoch yet

    def __init__(self, n_tasks: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.register_buffer("past", torch.full((2, n_tasks), torch.nan, dtype=torch.float64))

    def combine(self, losses: StepLosses) -> Tensor:
        weights = dwa_weights(self.past[0], self.past[1], self.temperature)
        return torch.dot(losses.values, weights[losses.index()].to(losses.values.dtype))

    def end_epoch(self, mean_losses: Tensor) -> None:
        self.past.copy_(torch.stack([mean_losses.to(self.past), self.past[0]]))


def dwa_weights(last: Tensor, before_last: Tensor, temperature: float) -> Tensor:
    """Return the weights, shape (K,), from the mean losses of two epochs; equal where both are NaN.

    A task without a loss in one of the epochs, or whose loss was 0, takes the ratio 1.
    """
    ratios = torch.nan_to_num(last / before_last, nan=1.0, posinf=1.0)
    return len(ratios) * torch.softmax(ratios / temperature, dim=0)
