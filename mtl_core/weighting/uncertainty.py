"""Weights learned as the noise of each task (`uncertainty`; Kendall et al., 2018).

The loss is the sum over the tasks of the step of L_k exp(-s_k) + s_k / 2, with s_k = log(sigma_k^2)
learned along with the encoder, from 0. The smallest value for a constant loss is at
exp(s_k) = 2 L_k: a task counts by the inverse of its own loss. The value can go below 0, so
what is reported during training is the unweighted losses.
"""

import torch
from torch import Tensor, nn

from mtl_core.weighting.task_weighting import StepLosses, TaskWeighting


class Uncertainty(TaskWeighting):
    """Learns `log_variances`, one s_k for each of K tasks, no unit; shape (K,)."""

    def __init__(self, n_tasks: int) -> None:
        super().__init__()
        self.log_variances = nn.Parameter(torch.zeros(n_tasks))

    def combine(self, losses: StepLosses) -> Tensor:
        return uncertainty_weighted_loss(losses.values, self.log_variances[losses.index()])


def uncertainty_weighted_loss(losses: Tensor, log_variances: Tensor) -> Tensor:
    """Combine task losses by homoscedastic uncertainty.

    Args:
        losses: Mean cross-entropy of each task, in nats; shape (k,).
        log_variances: Learned log(sigma^2) of each of these tasks, no unit; shape (k,).
    """
    return (torch.exp(-log_variances) * losses + log_variances / 2).sum()
