"""One trial trained the slow, obvious way: the truth that the engine is compared with.

A step loops over its rows and over their texts (`reference_model.py`), writes the weighting's
formula out, and moves the banks that were touched, each by a `torch.optim` instance of its own.
What decides the data (`plan_epoch`) and the draws of random weights are the library's own, and so
are the initial weights; nothing else is. Shapes: K tasks.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from reference_model import Key, ReferenceModel
from torch import Tensor, nn

from mtl_core.data.batches import plan_epoch
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.minibatch import Row
from mtl_core.seeding import stream
from mtl_core.training.config import TrialConfig
from mtl_core.training.models import build_model


@dataclass(frozen=True)
class ReferenceEpoch:
    """What an epoch came to.

    Args:
        losses: Mean loss of each task over its steps.
        scores: Dev accuracy of each task.
        unsure: Share of each task's dev rows whose two best classes are within rounding.
    """

    losses: dict[str, float]
    scores: dict[str, float]
    unsure: dict[str, float]


class Reference:
    """A training of `config`; `results` holds the epochs done so far."""

    def __init__(self, corpus: EncodedCorpus, config: TrialConfig, seed: int) -> None:
        self.corpus, self.config, self.seed = corpus, config, seed
        self.model = ReferenceModel(corpus, config, seed)
        self.optimizers: dict[Key, torch.optim.Optimizer] = {}
        self.steps_done = 0
        self.log_variances = [
            nn.Parameter(torch.zeros((), dtype=torch.float64)) for _ in self.names
        ]
        self.variance_optimizers: dict[int, torch.optim.Optimizer] = {}
        self.results: list[ReferenceEpoch] = []
        self._course = self._train()

    @property
    def names(self) -> tuple[str, ...]:
        return self.corpus.names

    def advance(self, n_steps: int) -> None:
        """Take so many more updates; an epoch's result comes with its last one."""
        for _ in range(n_steps):
            next(self._course)

    def finish(self) -> list[ReferenceEpoch]:
        """Train to the end, whatever the patience."""
        for _ in self._course:
            pass
        return self.results

    def tables(self) -> dict[str, Tensor]:
        """Return the parameters as the encoder names and shapes them, in double precision."""
        model = build_model(self.corpus, self.config, seed=self.seed).double()
        self.model.write_to(model)
        return {name: table.detach() for name, table in model.named_parameters()}

    def _train(self) -> Iterator[None]:
        training = self.config.training
        lengths = [self.corpus.split(k, "train").lengths for k in range(len(self.names))]
        for epoch in range(1, training.epochs + 1):
            steps = plan_epoch(
                lengths, self.names, self.config.batches, seed=self.seed, epoch=epoch
            )
            losses: list[list[float]] = [[] for _ in self.names]
            for number, step in enumerate(steps):
                done = (epoch - 1 + (number + 0.5) / len(steps)) / training.epochs
                for row, loss in zip(step, self._update(step, done), strict=True):
                    losses[row.task].append(loss)
                if number == len(steps) - 1:
                    self.results.append(self._result(losses))
                yield

    # One update

    def _update(self, step: Sequence[Row], done: float) -> list[float]:
        """Move the weights by one step; return the loss of each of its rows before it."""
        self.model.touched.clear()
        losses = [self._row_loss(row, step) for row in step]
        self._objective([row.task for row in step], losses).backward()
        frozen = self.config.encoder.freeze_words
        moving = [k for k in sorted(self.model.touched, key=str) if not (frozen and k[0] == "word")]
        training = self.config.training
        if training.clip_norm is not None:
            gradients = [p for key in moving for p in self.model.banks[key].parameters()]
            nn.utils.clip_grad_norm_(gradients, training.clip_norm)
        factor = self._lr_factor(done)
        for key in moving:
            _move(self._optimizer(key), factor * self._learning_rate(key))
        for task in {row.task for row in step} if self.method == "uncertainty" else ():
            _move(self._variance_optimizer(task), factor * training.learning_rate)
        for key in self.model.touched:
            self.model.banks[key].zero_grad()
        self.steps_done += 1
        return [loss.item() for loss in losses]

    def _row_loss(self, row: Row, step: Sequence[Row]) -> Tensor:
        """Return the mean cross-entropy of a row's texts."""
        longest = max(
            int(self.corpus.split(r.task, "train").lengths[r.examples].max()) for r in step
        )
        losses = []
        for example in row.examples:
            words, label = self._text("train", row.task, int(example))
            logits = self.model.logits(words, row.task, longest)
            losses.append(F.cross_entropy(logits[None], torch.tensor([label])))
        return torch.stack(losses).mean()

    def _learning_rate(self, key: Key) -> float:
        training = self.config.training
        if key[0] == "wide":
            given = training.wide_learning_rate
            return training.learning_rate * 10 if given is None else given
        if key[0] != "word":
            return training.learning_rate
        given = training.word_learning_rate
        return training.learning_rate / 10 if given is None else given

    def _lr_factor(self, done: float) -> float:
        training = self.config.training
        if done < training.warmup:
            return done / training.warmup
        done = (done - training.warmup) / (1 - training.warmup)
        if training.lr_schedule == "linear":
            return 1 - done
        return (1 + math.cos(math.pi * done)) / 2 if training.lr_schedule == "cosine" else 1.0

    def _optimizer(self, key: Key) -> torch.optim.Optimizer:
        if key not in self.optimizers:
            training = self.config.training
            kind = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.Adam
            of_wide, decay = training.wide_weight_decay, training.weight_decay
            if key[0] == "wide" and of_wide is not None:
                decay = of_wide
            self.optimizers[key] = kind(self.model.banks[key].parameters(), weight_decay=decay)
        return self.optimizers[key]

    def _variance_optimizer(self, task: int) -> torch.optim.Optimizer:
        if task not in self.variance_optimizers:
            self.variance_optimizers[task] = torch.optim.Adam([self.log_variances[task]])
        return self.variance_optimizers[task]

    # What a step minimises

    @property
    def method(self) -> str:
        return self.config.weighting.method

    def _objective(self, tasks: Sequence[int], losses: Sequence[Tensor]) -> Tensor:
        if self.method == "uncertainty":
            terms = [
                torch.exp(-self.log_variances[task]) * loss + self.log_variances[task] / 2
                for task, loss in zip(tasks, losses, strict=True)
            ]
            return torch.stack(terms).sum()
        weights = self._weights()
        return sum(
            (weights[task] * loss for task, loss in zip(tasks, losses, strict=True)),
            start=torch.zeros((), dtype=torch.float64),
        )

    def _weights(self) -> list[float]:
        """Return the weight of each task, which sum to K."""
        config, n_tasks = self.config.weighting, len(self.names)
        if self.method == "equal":
            return [1.0] * n_tasks
        if self.method == "static":
            return _summing_to_count([(config.weights or {}).get(n, 1.0) for n in self.names])
        if self.method == "size":
            rows = [len(self.corpus.split(k, "train")) for k in range(n_tasks)]
            return _summing_to_count([n ** (1 / config.size_temperature) for n in rows])
        if self.method == "random":
            draw = stream(self.seed, "random_weights", self.steps_done).standard_normal(n_tasks)
            return _summing_to_count([math.exp(z) for z in draw])
        assert self.method == "dwa"
        if len(self.results) < 2:
            return [1.0] * n_tasks
        last, before = self.results[-1].losses, self.results[-2].losses
        ratios = [last[n] / before[n] for n in self.names]
        return _summing_to_count([math.exp(r / config.dwa_temperature) for r in ratios])

    # One text

    def _text(self, split: str, task: int, example: int) -> tuple[list[int], int]:
        part = self.corpus.split(task, split)
        start, stop = part.offsets[example], part.offsets[example + 1]
        return part.words[start:stop].tolist(), int(part.labels[example])

    # After an epoch

    @torch.no_grad()
    def _result(self, losses: Sequence[Sequence[float]]) -> ReferenceEpoch:
        correct, unsure = {}, {}
        for task, name in enumerate(self.names):
            part = self.corpus.split(task, "dev")
            right, close = [], []
            for example in range(len(part)):
                words, label = self._text("dev", task, example)
                logits = self.model.logits(words, task, int(part.lengths.max()))
                best, second = logits.topk(2).values
                right.append(int(logits.argmax()) == label)
                close.append(float(best - second) < 1e-4)
            correct[name], unsure[name] = float(np.mean(right)), float(np.mean(close))
        means = {n: float(np.mean(of)) for n, of in zip(self.names, losses, strict=True)}
        return ReferenceEpoch(means, correct, unsure)


def _move(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    optimizer.param_groups[0]["lr"] = learning_rate
    optimizer.step()
    optimizer.zero_grad()


def _summing_to_count(weights: Sequence[float]) -> list[float]:
    return [len(weights) * weight / sum(weights) for weight in weights]
