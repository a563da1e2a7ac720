"""The steps of the optimisers of many models, taken together: gradients clipped, banks moved.

On a GPU banks and words of all of them are rows, moved at once (`row_adam.py`). On a CPU that gains
nothing: there only words are, of which a step has some hundreds out of many thousands, and banks
move in place through views, by one fused call for all banks of a model with one learning rate.
Shapes: U used banks of a table.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mtl_core.training import row_adam
from mtl_core.training.optimizer import AdamSettings, BankAdam, Slices
from mtl_core.training.row_adam import BETA1, BETA2, COPIES, EPS, Pace, Rows, move_rows


class Move(NamedTuple):
    """A step of one optimiser; all mappings are by table.

    Args:
        gradients: Of the used banks of each table that has one, (U, ...); may be overwritten.
        banks: The numbers of these banks; of tables `by_row` an int64 tensor without repeats, (U,).
        learning_rates: Of each table.
    """

    optimizer: BankAdam
    gradients: Mapping[str, Tensor]
    banks: Mapping[str, Sequence[int] | Tensor]
    learning_rates: Mapping[str, float]


@torch.no_grad()
def move_together(moves: Sequence[Move], *, as_one: bool) -> None:
    """Take the steps of several optimisers, one of each.

    Args:
        as_one: By operations whose number does not grow with that of the optimisers.
    """
    if as_one:
        move_rows(_all_rows(moves, _clipping_scales(moves)))
        return
    for move in moves:
        (scale,) = _clipping_scales([move])
        _move_banks(move, scale)
        for name in move.gradients:
            if name in move.optimizer.by_row:
                move_rows(_rows(move, name, scale))


def bytes_at_work(moves: Sequence[Move], *, as_one: bool) -> int:
    """Return about how much memory `move_together` takes besides."""
    if as_one:
        gradients = [gradient for move in moves for gradient in move.gradients.values()]
        return row_adam.bytes_at_work(gradients)
    by_row = [
        gradient
        for move in moves
        for name, gradient in move.gradients.items()
        if name in move.optimizer.by_row
    ]
    return max((COPIES * gradient.nbytes for gradient in by_row), default=0)


def _all_rows(moves: Sequence[Move], scales: Sequence[Tensor | None]) -> list[Rows]:
    """Return the rows of all tables of all moves."""
    pairs = zip(moves, scales, strict=True)
    found = [_rows(move, name, scale) for move, scale in pairs for name in move.gradients]
    return [rows for of_table in found for rows in of_table]


def _clipping_scales(moves: Sequence[Move]) -> list[Tensor | None]:
    """Return what the gradients of each are to be divided by, at least 1; None: all by 1."""
    limits = [move.optimizer.settings.clip_norm or math.inf for move in moves]
    if not moves or min(limits) == math.inf:
        return [None] * len(moves)
    gradients = [gradient for move in moves for gradient in move.gradients.values()]
    of_gradients = torch.stack(torch._foreach_norm(gradients))
    of_moves = torch.split(of_gradients, [len(move.gradients) for move in moves])
    norms = torch.stack(torch._foreach_norm(of_moves))
    most = torch.tensor(limits, dtype=norms.dtype).to(norms.device, non_blocking=True)
    return list(torch.clamp((norms + 1e-6) / most, min=1.0).unbind())


def _rows(move: Move, name: str, scale: Tensor | None) -> list[Rows]:
    """Return the rows of a table that move, in runs of those that stand together."""
    optimizer, gradient, banks = move.optimizer, move.gradients[name], move.banks[name]
    decay = optimizer.decays.get(name, optimizer.settings.weight_decay)
    rate = move.learning_rates[name]
    if optimizer.settings.decoupled:
        pace = Pace(rate, scale, shrink=1 - rate * decay)
    else:
        pace = Pace(rate, scale, decay=decay)
    gradient = gradient.reshape(gradient.shape[0], -1)
    if isinstance(banks, Tensor):
        return [Rows(optimizer.rows_of(name), banks, gradient, pace)]
    runs = optimizer.runs_of(name, tuple(banks))
    if len(runs) == 1:
        return [Rows(runs[0][2], None, gradient, pace)]
    return [Rows(place, None, gradient[start:stop], pace) for start, stop, place in runs]


def _move_banks(move: Move, scale: Tensor | None) -> None:
    """Move the banks of tables that are not `by_row`, those of one learning rate by one call."""
    optimizer = move.optimizer
    names = [name for name in move.gradients if name not in optimizer.by_row]
    slices = {name: optimizer.slices_of(name, tuple(move.banks[name])) for name in names}
    if names:
        torch._foreach_add_([count for of in slices.values() for count in of.steps], 1.0)
    for rate in dict.fromkeys(move.learning_rates[name] for name in names):
        alike = [name for name in names if move.learning_rates[name] == rate]
        views = Slices([], [], [], [])
        gradients: list[Tensor] = []
        for name in alike:
            for mine, more in zip(views, slices[name], strict=True):
                mine.extend(more)
            gradient = move.gradients[name].contiguous()  # the kernel assumes it
            gradients.extend(torch.split(gradient, 1) if len(gradient) > 1 else (gradient,))
        _call_fused(optimizer.settings, views, gradients, rate, scale)


def _call_fused(
    settings: AdamSettings,
    views: Slices,
    gradients: list[Tensor],
    rate: float,
    scale: Tensor | None,
) -> None:
    adam = torch._fused_adamw_ if settings.decoupled else torch._fused_adam_
    adam(
        views.parameters,
        gradients,
        views.means,
        views.squares,
        [],
        views.steps,
        lr=rate,
        beta1=BETA1,
        beta2=BETA2,
        weight_decay=settings.weight_decay,
        eps=EPS,
        amsgrad=False,
        maximize=False,
        grad_scale=scale,
    )
