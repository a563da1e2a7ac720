"""One update of the weights of several models at once: the inner part of the training loop.

Collate each model's step, narrow its tables to the banks these texts use, one forward pass for all,
the losses of the tasks, one loss of each model from these, one backward pass, and Adam on the banks
that were used; what of this is one model's own is in `updater.py`. The models share no weights, so
none's gradients reach another. A model may take several steps for one update: passes one after
another, whose gradients are averaged.
Shapes: k tasks in a step.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from mtl_core.data.minibatch import Step
from mtl_core.kernels.usable import as_on_gpu
from mtl_core.model.forward import Part, compute_logits
from mtl_core.model.narrow_as_one import narrow_as_one
from mtl_core.training.device_memory import is_memory_error
from mtl_core.training.losses import row_losses
from mtl_core.training.moves import Move, bytes_at_work, move_together
from mtl_core.training.updater import Updater

_SPARE = 1 << 20  # bytes that an update may take besides what its optimisers take


@dataclass(eq=False)
class Update:
    """Steps of one model for one update, and what came of them.

    Args:
        factor: Of the learning rates.
        losses: Of the tasks of each step before the update, (k,) each, as far as it came.
        values: The same as numbers; empty lists on a GPU, which would have to be waited for.
        done: The weights have moved.
        error: What went wrong with this model alone.
    """

    updater: Updater
    steps: Sequence[Step]
    factor: float
    losses: list[Tensor] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)
    done: bool = False
    error: Exception | None = None

    @property
    def finite(self) -> bool:
        """Whether the losses are known to be numbers that can be minimised, or not known yet."""
        return all(math.isfinite(value) for of_step in self.values for value in of_step)

    @property
    def going(self) -> bool:
        """Whether nothing has gone wrong so far."""
        return self.error is None and self.finite


class _Ready(NamedTuple):
    """An update whose gradients are there."""

    update: Update
    parts: list[Part]
    moves: list[Move]


def take_together(updates: Sequence[Update]) -> None:
    """Take the updates, of models of one family; says in each what came of it.

    A model whose losses are no finite numbers, or whose weighting fails, does not move. Any other
    exception is raised, and those that are neither `done` nor have an `error` by then are as they
    were: they can take their update again.
    """
    of_updates = _prepare(updates)
    pairs = list(zip(updates, of_updates, strict=True))
    for number in range(max(map(len, of_updates))):
        _pass(number, [(u, parts[number]) for u, parts in pairs if number < len(parts) and u.going])
    ready = [
        _Ready(update, parts, update.updater.moves(update.factor, parts))
        for update, parts in pairs
        if update.going
    ]
    device = updates[0].updater.device
    as_one = as_on_gpu(device) and len(ready) > 1
    _look_for_room(ready, as_one, device)
    for together in [ready] if as_one else [[one] for one in ready]:
        _move(together, as_one)


def take_alone(updater: Updater, step: Step) -> Tensor:
    """Update one model by one step, at its full learning rates; return the losses of its tasks
    before it, (k,)."""
    update = Update(updater, [step], factor=1.0)
    take_together([update])
    if update.error is not None:
        raise update.error
    return update.losses[0]


def _prepare(updates: Sequence[Update]) -> list[list[Part]]:
    """Return what each brings to its passes."""
    if len(updates) == 1 or not as_on_gpu(updates[0].updater.device):
        return [update.updater.prepare(update.steps) for update in updates]
    batches = [update.updater.collate(update.steps) for update in updates]
    narrowed = narrow_as_one([update.updater.model for update in updates], batches)
    triples = zip(updates, batches, narrowed, strict=True)
    return [update.updater.parts(mine, of_update) for update, mine, of_update in triples]


def _pass(number: int, pairs: Sequence[tuple[Update, Part]]) -> None:
    """Add the gradients of step `number` of these updates to those of the steps before it."""
    if not pairs:
        return
    parts = [part for _, part in pairs]
    tasks = pairs[0][0].updater.corpus.tasks
    losses = row_losses(compute_logits(parts), [part.batch for part in parts], tasks)
    of_updates = torch.split(losses, [len(update.steps[number]) for update, _ in pairs])
    roots = []
    for (update, part), mine in zip(pairs, of_updates, strict=True):
        update.losses.append(mine.detach())
        update.values.append(update.losses[-1].tolist() if mine.device.type == "cpu" else [])
        if update.finite and (root := _combine(update, number, part, mine)) is not None:
            roots.append(root / len(update.steps) if len(update.steps) > 1 else root)
    if roots:
        torch.autograd.backward(torch.stack(roots).sum() if len(roots) > 1 else roots[0])


def _combine(update: Update, number: int, part: Part, losses: Tensor) -> Tensor | None:
    try:
        return update.updater.combine(losses, number, part)
    except Exception as error:  # of the weighting, which belongs to this model alone
        if is_memory_error(error):
            raise
        update.error = error
        return None


def _look_for_room(ready: Sequence[_Ready], as_one: bool, device: torch.device) -> None:
    """Fail for lack of memory now, before any weights move, rather than among them."""
    moves = [move for one in ready for move in one.moves]
    torch.empty(_SPARE + bytes_at_work(moves, as_one=as_one), dtype=torch.uint8, device=device)


def _move(together: Sequence[_Ready], as_one: bool) -> None:
    try:
        move_together([move for one in together for move in one.moves], as_one=as_one)
    except Exception as error:
        intact = all(one.update.updater.is_intact() for one in together)
        if is_memory_error(error) and intact:
            raise
        for one in together:
            one.update.error = error
        return
    for update, parts, _ in together:
        update.updater.note_move(parts)
        update.done = True
