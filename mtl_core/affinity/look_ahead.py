"""Look-ahead affinity: what a step on one task does to another's loss (TAG; Fifty et al., 2021).

    Z[i, j] = 1 - L_j(shared parameters after a step on task i) / L_j(before)

Heads and all else that belongs to one task stay as they are. Two things differ from the paper,
which has one set of images with the labels of all tasks. The loss is not that of the batch that
gave the gradient but of other rows (`rows.py` says why). And the step is not plain gradient
descent: models here are trained by Adam, whose parameters differ in scale by orders of magnitude,
so that a plain step is decided by the few that are steepest. The step is what Adam makes of task
i's gradient alone: each number divided by the root of its second moment, without momentum, which
all tasks have in common, and at one learning rate for words and layers. All tasks' steps have one
length, short enough that the change is the gradient's doing and not the curvature's, which would
lower all of Z alike. Shapes: K tasks.
"""

from collections.abc import Callable, Iterable, Mapping
from math import sqrt

import torch
from torch import Tensor

from mtl_core.training.optimizer import BankAdam
from mtl_core.training.row_adam import BETA2, EPS

Tables = Mapping[str, Tensor]

STEP_LENGTH = 3e-3  # of all shared parameters together


def look_ahead(
    losses: Callable[[Tables], Tensor], tables: Tables, steps: Iterable[Tables]
) -> Tensor:
    """Return Z, (steps, K), float64; 0 of a loss that is 0.

    Args:
        losses: Gives the loss of each task with these tables, (K,).
        tables: The parameters as they are.
        steps: What each step adds to some of the tables; one at a time is looked at.
    """
    before = losses(tables).double()
    after = [
        losses({**tables, **{name: tables[name] + change for name, change in step.items()}})
        for step in steps
    ]
    falls = 1 - torch.stack(after).double() / before
    return torch.where(before > 0, falls, 0.0)


@torch.no_grad()
def adam_step(
    optimizer: BankAdam, used: Mapping[str, Tensor], gradients: Tables, length: float = STEP_LENGTH
) -> dict[str, Tensor]:
    """Return the step that Adam would take on these gradients alone, brought to one length.

    Args:
        optimizer: With the second moments of the training so far, which stay as they are.
        used: The banks, or rows, of each table that `gradients` belong to.
    """
    directions = {
        name: gradient / (_second_moment(optimizer, name, used[name], gradient).sqrt() + EPS)
        for name, gradient in gradients.items()
    }
    norm = sqrt(sum(float((of.double() ** 2).sum()) for of in directions.values()))
    scale = length / norm if norm else 0.0
    return {name: -scale * direction for name, direction in directions.items()}


def _second_moment(optimizer: BankAdam, name: str, used: Tensor, gradient: Tensor) -> Tensor:
    """Return the second moment, this gradient counted in and the bias corrected."""
    kept = optimizer.squares[name][used].view_as(gradient)
    steps = optimizer.steps[name][used].view(-1, *[1] * (gradient.dim() - 1)) + 1
    return (BETA2 * kept + (1 - BETA2) * gradient**2) / (1 - BETA2**steps)
