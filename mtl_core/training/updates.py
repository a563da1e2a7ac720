"""One update of the weights: the inner part of the training loop.

Collate the step's rows, narrow the tables to the banks these use, forward, the losses of the tasks,
one loss from these, backward, and Adam on those banks. Everything random in it follows from the
seed and the number of the step. Shapes: k tasks in a step.
"""

from functools import partial

import torch
from torch import Tensor

from mtl_core.data.batches import Minibatch, Step, collate
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.model.banks import Narrowed
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.seeding import derive_seed
from mtl_core.training.config import TrainingConfig, TrialConfig
from mtl_core.training.losses import shared_gradients, task_losses
from mtl_core.training.optimizer import AdamSettings, BankAdam
from mtl_core.weighting.task_weighting import StepLosses, TaskWeighting

WORDS = "words"  # the group of the word vectors


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
        trainable = {
            name: table
            for name, table in model.named_parameters()
            if not (config.encoder.freeze_words and model.table_group[name] == WORDS)
        }
        settings = _adam_settings(config.training)
        self.optimizer = BankAdam(trainable, model.table_group, settings, by_row=[WORDS])
        self._learned = dict(weighting.named_parameters())
        by_task = dict.fromkeys(self._learned, "tasks")
        self.weighting_optimizer = BankAdam(self._learned, by_task, AdamSettings())

    def take(self, step: Step, factor: float) -> Tensor:
        """Update the weights by one step; return the losses of its tasks before it, (k,).

        Args:
            factor: Of the learning rates.
        """
        batch = collate(self.corpus, "train", step).to(self.device)
        self._seed()
        narrowed = self.model.narrow(batch)
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            logits = self.model(batch, narrowed)
        losses = task_losses(logits.float(), batch)  # (k,)
        torch.autograd.backward(self._combine(losses, batch, narrowed))
        rate = self.training.learning_rate * factor
        self.optimizer.step(
            {name: leaf.grad for name, leaf in narrowed.tables.items() if leaf.grad is not None},
            learning_rate=rate,
            banks={group: tuple(places) for group, places in narrowed.places.items()},
            row_learning_rate=_word_learning_rate(self.training) * factor,
            rows={WORDS: narrowed.used[WORDS]},
        )
        if self._learned:
            self._move_weighting(batch.tasks, rate)
        self.steps_done += 1
        return losses.detach()

    def _seed(self) -> None:
        seed = derive_seed(self.seed, "step", self.steps_done)
        torch.default_generator.manual_seed(seed)  # `torch.manual_seed` asks every backend: slow
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _combine(self, losses: Tensor, batch: Minibatch, narrowed: Narrowed) -> Tensor:
        gradients = partial(
            shared_gradients, losses, batch, narrowed, self.model.plan, self.model.table_group
        )
        return self.weighting.combine(
            StepLosses(values=losses, tasks=batch.tasks, step=self.steps_done, gradients=gradients)
        )

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
