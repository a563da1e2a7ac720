"""One update of the weights of several models at once: the inner part of the training loop.

Collate each model's step, narrow its tables to the banks these texts use, one forward pass for all,
the losses of the tasks, one loss of each model from these, one backward pass, and Adam on the banks
that were used. Everything random in a model's update follows from its seed and the number of its
step. The models share no weights, so none's gradients reach another. A model may take several steps
for one update: passes one after another, whose gradients are averaged.
Shapes: k tasks in a step.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.minibatch import Minibatch, Step, collate
from mtl_core.data.wide import WideFeatures, wide_features
from mtl_core.kernels.usable import as_on_gpu
from mtl_core.model.banks import Narrowed
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.forward import Part, compute_logits
from mtl_core.model.narrow_as_one import narrow_as_one
from mtl_core.seeding import derive_seed
from mtl_core.training.checkpoint import pack, unpack
from mtl_core.training.config import TrainingConfig, TrialConfig
from mtl_core.training.device_memory import is_memory_error
from mtl_core.training.layer_rates import WIDE, WORDS, frozen_groups, learning_rates
from mtl_core.training.losses import row_losses, shared_gradients
from mtl_core.training.optimizer import (
    AdamSettings,
    BankAdam,
    Move,
    bytes_at_work,
    move_together,
)
from mtl_core.weighting.task_weighting import StepLosses, TaskWeighting

_SPARE = 1 << 20  # bytes that an update may take besides what its optimisers take


class Updater:
    """Updates `model` and what `weighting` learns; `steps_done` counts the steps.

    What the weighting learns moves by the same learning rate, without weight decay, and is no part
    of the norm that is clipped.
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        config: TrialConfig,
        *,
        model: MultiTaskEncoder,
        weighting: TaskWeighting,
        seed: int,
    ) -> None:
        self.corpus, self.training, self.seed = corpus, config.training, seed
        self.model, self.weighting = model, weighting
        self.device = next(model.parameters()).device
        self.steps_done = 0
        model.freeze(frozen_groups(config.training))
        trainable = {group: rows for group, rows in model.rows.items() if group not in model.frozen}
        if model.words.requires_grad:
            trainable[WORDS] = model.words
        self.wide: WideFeatures | None = None
        if config.encoder.wide:
            trainable[WIDE] = model.wide
            self.wide = wide_features(corpus, config.encoder.wide_ngrams)
        self.optimizer = BankAdam(
            trainable,
            _adam_settings(config.training),
            by_row=[WORDS, WIDE],
            decays=_decays(config.training),
        )
        self._rates = learning_rates(config.training, model.plan.n_layers, trainable)
        self._learned = dict(weighting.named_parameters())
        self.weighting_optimizer = BankAdam(self._learned, AdamSettings())
        self._head_moves = 0  # each update moves the head of each of its tasks

    def take(self, step: Step, factor: float) -> Tensor:
        """Update the weights by one step; return the losses of its tasks before it, (k,).

        Args:
            factor: Of the learning rates.
        """
        update = Update(self, [step], factor)
        take_together([update])
        if update.error is not None:
            raise update.error
        return update.losses[0]

    def prepare(self, steps: Sequence[Step]) -> list[Part]:
        """Return what this model brings to the forward passes of its next steps."""
        batches = self.collate(steps)
        return self.parts(batches, self.model.narrow_all(batches))

    def collate(self, steps: Sequence[Step]) -> list[Minibatch]:
        """Return the texts of the next steps."""
        return [collate(self.corpus, "train", step, self.wide) for step in steps]

    def parts(self, batches: Sequence[Minibatch], narrowed: Sequence[Narrowed]) -> list[Part]:
        """Return what this model brings to the forward passes of these minibatches."""
        for parameter in self._learned.values():
            parameter.grad = None  # of a pass that broke off
        return [
            Part(
                model=self.model,
                batch=batch,
                narrowed=of_batch,
                seed=derive_seed(self.seed, "step", self.steps_done + number),
            )
            for number, (batch, of_batch) in enumerate(zip(batches, narrowed, strict=True))
        ]

    def combine(self, losses: Tensor, number: int, part: Part) -> Tensor:
        """Return the scalar to minimise, of the step after `number` others of its update."""
        batch, narrowed = part.batch, part.narrowed
        assert narrowed is not None
        gradients = partial(shared_gradients, losses, batch, narrowed, self.model.plan)
        step = self.steps_done + number
        return self.weighting.combine(
            StepLosses(values=losses, tasks=batch.tasks, step=step, gradients=gradients)
        )

    def moves(self, factor: float, parts: Sequence[Part]) -> list[Move]:
        """Return what is to move by the gradients of these passes."""
        narrowed = parts[0].narrowed
        assert narrowed is not None
        gradients = narrowed.gradients()
        banks: dict[str, Sequence[int] | Tensor] = {
            group: tuple(places) for group, places in narrowed.places.items()
        }
        banks |= {group: narrowed.used[group] for group in (WORDS, WIDE) if group in narrowed.used}
        rates = {group: rate * factor for group, rate in self._rates.items()}
        found = [Move(self.optimizer, gradients, banks, rates)]
        if self._learned:
            rate = self.training.learning_rate * factor
            found.append(self._move_of_weighting(_tasks(parts), rate))
        return [move for move in found if move.gradients]

    def note_move(self, parts: Sequence[Part]) -> None:
        """Take note that the weights have moved by these passes."""
        self.steps_done += len(parts)
        self._head_moves += len(_tasks(parts))

    def state_dict(self) -> dict[str, Tensor]:
        """Return what the optimisers hold; the tensors are not copied."""
        mine = pack("optimizer", self.optimizer.state_dict())
        return mine | pack("weighting_optimizer", self.weighting_optimizer.state_dict())

    def load_state_dict(self, tensors: Mapping[str, Tensor], steps_done: int) -> None:
        """Continue after so many steps; `tensors` may hold others besides."""
        self.optimizer.load_state_dict(unpack("optimizer", tensors))
        self.weighting_optimizer.load_state_dict(unpack("weighting_optimizer", tensors))
        self.steps_done, self._head_moves = steps_done, self._count_head_moves()

    def is_intact(self) -> bool:
        """Whether nothing has moved since the last whole update; for one that broke off."""
        return self._count_head_moves() == self._head_moves

    def release(self) -> None:
        """Let moments and step counts go."""
        self.optimizer = self.weighting_optimizer = BankAdam({}, AdamSettings())
        self._learned = {}

    def _count_head_moves(self) -> int:
        groups = [g for g in ("heads", "pair_heads") if g in self.optimizer.steps]
        return sum(int(self.optimizer.steps[group].sum()) for group in groups)

    def _move_of_weighting(self, tasks: tuple[int, ...], learning_rate: float) -> Move:
        used = torch.tensor(tasks).to(self.device, non_blocking=True)
        gradients = {
            name: table.grad[used]
            for name, table in self._learned.items()
            if table.grad is not None
        }
        banks, rates = dict.fromkeys(gradients, tasks), dict.fromkeys(gradients, learning_rate)
        return Move(self.weighting_optimizer, gradients, banks, rates)


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


def _tasks(parts: Sequence[Part]) -> tuple[int, ...]:
    return tuple(sorted({task for part in parts for task in part.batch.tasks}))


def _adam_settings(training: TrainingConfig) -> AdamSettings:
    return AdamSettings(
        decoupled=training.optimizer == "adamw",
        weight_decay=training.weight_decay,
        clip_norm=training.clip_norm,
    )


def _decays(training: TrainingConfig) -> dict[str, float]:
    given = training.wide_weight_decay
    return {} if given is None else {WIDE: given}
