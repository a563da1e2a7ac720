"""Measures affinities in the course of one training: every so many steps, on rows of its own.

A measurement takes the gradient of each task's loss over what all tasks share, and from it the
cosines of the layers (`gradient_cosine.py`) and the look-ahead (`look_ahead.py`), both without
dropout, and in float32 whatever the training computes in. It moves nothing: the training goes on as
if nobody had looked. Measurements are kept one by one, so that what is found in some of them can be
looked for in the others (`groups.py`).
Shapes: M measurements, K tasks, L layers.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtl_core.affinity.gradient_cosine import gradient_cosines, kept_numbers
from mtl_core.affinity.look_ahead import Tables, adam_step, look_ahead
from mtl_core.affinity.rows import LOSS_ROWS, STEP_ROWS, ProbeRows
from mtl_core.affinity.shared import shared_groups, shared_layers
from mtl_core.data.minibatch import Minibatch, collate
from mtl_core.model.banks import Narrowed
from mtl_core.model.forward import Part, compute_logits
from mtl_core.training.losses import task_losses
from mtl_core.training.results import Diverged, EpochResult
from mtl_core.training.trainer import Trainer
from mtl_core.training.updater import Updater

_FEWEST = 24  # measurements of a training, where it has as many steps
_BACKWARD = 3  # a forward and a backward pass cost as much as so many forward passes


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured.

    Args:
        steps: Steps that were trained before each measurement, (M,).
        look_ahead: (M, K, K), row i: a step on task i, column j: the relative fall of j's loss.
        cosines: (M, L, K, K).
        layers: (L,)
        epochs: What the training came to.
    """

    steps: tuple[int, ...]
    look_ahead: NDArray[np.float64]
    cosines: NDArray[np.float64]
    layers: tuple[str, ...]
    epochs: tuple[EpochResult, ...]


def measure(
    trainer: Trainer, *, every: int, say: Callable[[EpochResult], None] | None = None
) -> Measured:
    """Train to the end, and measure after every so many steps.

    Raises:
        ConfigError: A task has no labelled row to measure it on.
        Diverged: The training diverged, or ended before anything was measured.
    """
    lane, engine = trainer.lane, trainer.engine
    rows = ProbeRows(engine.around.corpus, lane.seed)
    steps, found, epochs = list[int](), list[tuple[Tensor, Tensor]](), list[EpochResult]()
    while lane.ended is None:
        engine.step()
        done = lane.updater.steps_done
        if lane.failure is None and done // every > len(steps):
            steps.append(done)
            found.append(probe(lane.updater, rows, len(steps)))
            if not all(of.isfinite().all() for of in found[-1]):
                raise Diverged(f"a loss or a gradient is no number after {done} steps")
        for _, result in engine.results():
            if isinstance(result, Exception):
                raise result
            epochs.append(result)
            if say is not None:
                say(result)
    if not found:
        raise Diverged(f"no measurement: the training has {lane.updater.steps_done} steps")
    return Measured(
        steps=tuple(steps),
        look_ahead=torch.stack([ahead for ahead, _ in found]).numpy(),
        cosines=torch.stack([cosines for _, cosines in found]).numpy(),
        layers=shared_layers(trainer.model),
        epochs=tuple(epochs),
    )


def steps_between(n_tasks: int, rows_of_epoch: int, steps_of_epoch: int, epochs: int) -> int:
    """Return after how many steps to measure, so that it costs about as much as the training."""
    costs = n_tasks * (_BACKWARD * STEP_ROWS + n_tasks * LOSS_ROWS)  # in rows of a forward pass
    count = max(_FEWEST, _BACKWARD * rows_of_epoch * epochs // costs)
    return max(1, steps_of_epoch * epochs // count)


def probe(updater: Updater, rows: ProbeRows, number: int) -> tuple[Tensor, Tensor]:
    """Return one measurement of the model as it is: look-ahead (K, K), and cosines (L, K, K)."""
    model, corpus, device = updater.model, updater.corpus, updater.device
    steps = [*rows.for_steps(number), rows.for_losses(number)]
    splits = ["train"] * (len(steps) - 1) + ["dev"]
    batches = [
        collate(corpus, split, step, updater.wide)
        for split, step in zip(splits, steps, strict=True)
    ]
    narrowed = model.narrow_all(batches)
    batches = [batch.to(device) for batch in batches]
    *for_steps, of_losses = list(zip(batches, narrowed, strict=True))

    def losses(tables: Tables) -> Tensor:
        batch, where = of_losses
        return _losses(updater, batch, replace(where, tables=dict(tables)))

    groups, layers = shared_groups(model), shared_layers(model)
    kept: list[dict[str, Tensor]] = []

    def moves() -> Iterator[Tables]:
        for batch, where in for_steps:
            gradients = _gradients(updater, batch, where, groups)
            kept.append({layer: kept_numbers(gradients[layer]) for layer in layers})
            yield adam_step(updater.optimizer, where.used, gradients)

    with torch.no_grad():
        ahead = look_ahead(losses, of_losses[1].tables, moves())
    return ahead.cpu(), gradient_cosines(kept, layers)


@torch.enable_grad()
def _gradients(
    updater: Updater, batch: Minibatch, narrowed: Narrowed, groups: Sequence[str]
) -> dict[str, Tensor]:
    """Return the gradient of the one task of a minibatch over these groups."""
    leaves = [narrowed.tables[group] for group in groups]
    loss = _losses(updater, batch, narrowed).sum()
    found = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
    return dict(zip(groups, found, strict=True))


def _losses(updater: Updater, batch: Minibatch, narrowed: Narrowed) -> Tensor:
    """Return the loss of each task of a minibatch, (k,), float64.

    What a step changes is a ten-thousandth of a loss or less. Products in bfloat16 would bury it;
    so would cross-entropy in float32 where a task is learnt so well that its loss is near 0.
    """
    part = Part(model=updater.model, batch=batch, narrowed=narrowed)
    (outputs,) = compute_logits([part], dtype=torch.float32)
    return task_losses(outputs.double(), batch, updater.corpus.tasks)
