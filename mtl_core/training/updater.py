"""One model's side of an update: what it brings to the passes, and what is to move by them.

What is trained of a model, its optimisers and learning rates, and how many of its steps are done.
The passes themselves, of several models at once, are in `updates.py`. Everything random in a
model's update follows from its seed and the number of its step.
Shapes: k tasks in a step.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.minibatch import Minibatch, Step, collate
from mtl_core.data.wide import WideFeatures, wide_features
from mtl_core.model.banks import Narrowed
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.forward import Part
from mtl_core.seeding import derive_seed
from mtl_core.training.checkpoint import pack, unpack
from mtl_core.training.config import TrainingConfig, TrialConfig
from mtl_core.training.layer_rates import WIDE, WORDS, frozen_groups, learning_rates
from mtl_core.training.losses import shared_gradients
from mtl_core.training.moves import Move
from mtl_core.training.optimizer import AdamSettings, BankAdam
from mtl_core.weighting.task_weighting import StepLosses, TaskWeighting


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
