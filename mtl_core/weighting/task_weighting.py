"""What a task weighting is: it turns the task losses of one step into the one that is minimised.

A step of the joint regime holds every task, a step of the alternating regime one, so a method is
given the losses of the tasks that are there and answers with their weighted sum. Methods that look
at the gradients of the tasks (MGDA, PCGrad, CAGrad and their like) ask for them by calling
`StepLosses.gradients`: nothing is computed for a method that does not. What such methods find is a
weight for each task, so they too return a weighted sum, with the weights detached.

The methods are in `methods.py` and the files it names. Shapes: K tasks in all, k of them in the
step, P entries of the parameters that at least two of these share.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class StepLosses:
    """The losses of one step and what a method may want to know besides.

    Args:
        values: Mean cross-entropy of each task over its rows of the step, in nats; shape (k,).
        tasks: Number of the task that each of `values` belongs to.
        step: Steps taken before this one, since the training began.
        gradients: Computes the gradient of each of `values`, flattened over the layers' banks that
            at least two tasks of the step share; shape (k, P). It costs k backward passes, and
            leaves the graph of `values` in place.
    """

    values: Tensor
    tasks: tuple[int, ...]
    step: int
    gradients: Callable[[], Tensor]

    def weighted(self, weights: Sequence[float]) -> Tensor:
        """Return the sum of the losses, each times the weight of its task; `weights`: K numbers."""
        mine = [weights[k] for k in self.tasks]
        if len(mine) == 1:
            return self.values.sum() * mine[0]  # of which a GPU need not be told beforehand
        given = torch.tensor(mine, dtype=self.values.dtype)
        return torch.dot(self.values, given.to(self.values.device, non_blocking=True))

    def index(self) -> Tensor:
        """Return the numbers of the tasks, (k,) int64, on the device of the losses."""
        return torch.tensor(self.tasks).to(self.values.device, non_blocking=True)


class TaskWeighting(nn.Module):
    """Base of the methods; its parameters are learned, its buffers are kept in checkpoints.

    A parameter has one entry for each task, shape (K,): the optimiser moves those of the tasks in
    the step. `needs_all_tasks` says that a method is only defined for the joint regime.
    """

    needs_all_tasks: bool = False

    def combine(self, losses: StepLosses) -> Tensor:
        """Return the scalar to minimise in this step."""
        raise NotImplementedError

    def end_epoch(self, mean_losses: Tensor) -> None:
        """Take note of the epoch's mean loss of each task, unweighted, in nats; shape (K,)."""
