"""One update of the weights of several models at once: the inner part of the training loop.

Collate each model's step, narrow its tables to the banks these texts use, one forward pass for all,
the losses of the tasks, one loss of each model from these, one backward pass, and Adam on the banks
that were used. Everything random in a model's update follows from its seed and the number of its
step. The models share no weights, so none's gradients reach another.
Shapes: k tasks in a step.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from mtl_core.data.batches import Minibatch, Step, collate
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.model.banks import Narrowed
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.forward import Part, compute_logits
from mtl_core.seeding import derive_seed
from mtl_core.training.checkpoint import pack, unpack
from mtl_core.training.config import TrainingConfig, TrialConfig
from mtl_core.training.device_memory import is_memory_error
from mtl_core.training.losses import row_losses, shared_gradients
from mtl_core.training.optimizer import AdamSettings, BankAdam
from mtl_core.weighting.task_weighting import StepLosses, TaskWeighting

WORDS = "words"  # the group of the word vectors
_SPARE = 1 << 20  # bytes that an update may take besides what it does to the word vectors


class Updater:
    """Updates `model` and what `weighting` learns; `steps_done` counts the updates.

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
        trainable = dict(model.rows)
        if not config.encoder.freeze_words:
            trainable[WORDS] = model.words
        settings = _adam_settings(config.training)
        self.optimizer = BankAdam(
            trainable, {group: group for group in trainable}, settings, by_row=[WORDS]
        )
        self._learned = dict(weighting.named_parameters())
        by_task = dict.fromkeys(self._learned, "tasks")
        self.weighting_optimizer = BankAdam(self._learned, by_task, AdamSettings())
        self._word_rate = _word_learning_rate(config.training)
        self._head_moves = 0  # each step moves the head of each of its tasks

    def take(self, step: Step, factor: float) -> Tensor:
        """Update the weights by one step; return the losses of its tasks before it, (k,).

        Args:
            factor: Of the learning rates.
        """
        update = Update(self, step, factor)
        take_together([update])
        if update.error is not None:
            raise update.error
        return update.losses

    def prepare(self, step: Step) -> Part:
        """Return what this model brings to the forward pass of its next step."""
        batch = collate(self.corpus, "train", step)
        seed = derive_seed(self.seed, "step", self.steps_done)
        narrowed = self.model.narrow(batch)
        return Part(model=self.model, batch=batch.to(self.device), narrowed=narrowed, seed=seed)

    def combine(self, losses: Tensor, batch: Minibatch, narrowed: Narrowed) -> Tensor:
        """Return the scalar to minimise."""
        for parameter in self._learned.values():
            parameter.grad = None  # of a pass that broke off
        gradients = partial(shared_gradients, losses, batch, narrowed, self.model.plan)
        return self.weighting.combine(
            StepLosses(values=losses, tasks=batch.tasks, step=self.steps_done, gradients=gradients)
        )

    def move(self, factor: float, batch: Minibatch, narrowed: Narrowed) -> None:
        """Move what has gradients."""
        rate = self.training.learning_rate * factor
        self.optimizer.step(
            {name: leaf.grad for name, leaf in narrowed.tables.items() if leaf.grad is not None},
            learning_rate=rate,
            banks={group: tuple(places) for group, places in narrowed.places.items()},
            row_learning_rate=self._word_rate * factor,
            rows={WORDS: narrowed.used[WORDS]},
        )
        if self._learned:
            self._move_weighting(batch.tasks, rate)
        self.steps_done += 1
        self._head_moves += len(set(batch.tasks))

    def state_dict(self) -> dict[str, Tensor]:
        """Return what the optimisers hold; the tensors are not copied."""
        mine = pack("optimizer", self.optimizer.state_dict())
        return mine | pack("weighting_optimizer", self.weighting_optimizer.state_dict())

    def load_state_dict(self, tensors: Mapping[str, Tensor], steps_done: int) -> None:
        """Continue after so many updates; `tensors` may hold others besides."""
        self.optimizer.load_state_dict(unpack("optimizer", tensors))
        self.weighting_optimizer.load_state_dict(unpack("weighting_optimizer", tensors))
        self.steps_done, self._head_moves = steps_done, self._count_head_moves()

    def is_intact(self) -> bool:
        """Whether nothing has moved since the last whole update; for one that broke off."""
        return self._count_head_moves() == self._head_moves

    def release(self) -> None:
        """Let moments and step counts go."""
        self.optimizer = self.weighting_optimizer = BankAdam({}, {}, AdamSettings())
        self._learned = {}

    def _count_head_moves(self) -> int:
        return int(self.optimizer.steps["heads"].sum())

    def _move_weighting(self, tasks: tuple[int, ...], learning_rate: float) -> None:
        used = torch.tensor(tasks, device=self.device)
        gradients = {
            name: table.grad[used]
            for name, table in self._learned.items()
            if table.grad is not None
        }
        self.weighting_optimizer.step(
            gradients, learning_rate=learning_rate, banks={"tasks": tasks}
        )
        self.weighting.zero_grad()


@dataclass(eq=False)
class Update:
    """A step of one model, and what came of it.

    Args:
        factor: Of the learning rates.
        losses: Of the step's tasks before the update, (k,).
        values: The same as numbers; empty on a GPU, which would have to be waited for.
        done: The weights have moved.
        error: What went wrong with this model alone.
    """

    updater: Updater
    step: Step
    factor: float
    losses: Tensor = field(default_factory=lambda: torch.empty(0))
    values: list[float] = field(default_factory=list)
    done: bool = False
    error: Exception | None = None

    @property
    def finite(self) -> bool:
        """Whether the losses are known to be numbers that can be minimised, or not known yet."""
        return all(map(math.isfinite, self.values))


def take_together(updates: Sequence[Update]) -> None:
    """Take the updates, of models of one family; says in each what came of it.

    A model whose losses are no finite numbers, or whose weighting fails, does not move. Any other
    exception is raised, and those that are neither `done` nor have an `error` by then are as they
    were: they can take their update again.
    """
    parts = [update.updater.prepare(update.step) for update in updates]
    losses = row_losses(compute_logits(parts), [part.batch for part in parts])
    _note_losses(updates, losses)
    of_updates = torch.split(losses, [len(update.step) for update in updates])
    roots = []
    for update, part, mine in zip(updates, parts, of_updates, strict=True):
        if update.finite and (root := _combine(update, part, mine)) is not None:
            roots.append(root)
    if roots:
        torch.autograd.backward(roots)
    del losses, of_updates, roots  # and with them the graph
    _look_for_room(parts)
    for update, part in zip(updates, parts, strict=True):
        if update.finite and update.error is None:
            _move(update, part)


def _note_losses(updates: Sequence[Update], losses: Tensor) -> None:
    detached = losses.detach()
    values = detached.tolist() if detached.device.type == "cpu" else None
    start = 0
    for update in updates:
        place = slice(start, start + len(update.step))
        start = place.stop
        update.losses = detached[place]
        if values is not None:
            update.values = values[place]


def _combine(update: Update, part: Part, losses: Tensor) -> Tensor | None:
    assert part.narrowed is not None
    try:
        return update.updater.combine(losses, part.batch, part.narrowed)
    except Exception as error:  # of the weighting, which belongs to this model alone
        if is_memory_error(error):
            raise
        update.error = error
        return None


def _move(update: Update, part: Part) -> None:
    assert part.narrowed is not None
    try:
        update.updater.move(update.factor, part.batch, part.narrowed)
        update.done = True
    except Exception as error:
        if is_memory_error(error) and update.updater.is_intact():
            raise
        update.error = error


def _look_for_room(parts: Sequence[Part]) -> None:
    """Fail for lack of memory now, before any weights move, rather than among them."""
    words = [part.narrowed.tables.get(WORDS) for part in parts if part.narrowed is not None]
    # The rows of the word table, both moments, the step and its parts are gathered.
    largest = max((8 * leaf.nbytes for leaf in words if leaf is not None), default=0)
    torch.empty(_SPARE + largest, dtype=torch.uint8, device=parts[0].batch.words.device)


def _adam_settings(training: TrainingConfig) -> AdamSettings:
    return AdamSettings(
        decoupled=training.optimizer == "adamw",
        weight_decay=training.weight_decay,
        clip_norm=training.clip_norm,
    )


def _word_learning_rate(training: TrainingConfig) -> float:
    """Return that of the word vectors at its full value; a tenth of the other unless given."""
    given = training.word_learning_rate
    return training.learning_rate / 10 if given is None else given
