"""The training of one trial, as a generator of epoch results.

An epoch: plan its steps, take them (`updates.py`), score the dev rows, tell the weighting, keep the
parameters where a score is the best so far. All that is random follows from the seed, the epoch,
the step and the task names, so a continued training is the uninterrupted one, to the bit.
Shapes: K tasks.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mtl_core.data.batches import Step, plan_epoch
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.errors import ConfigError
from mtl_core.training.best import AVERAGE, BestEpochs
from mtl_core.training.checkpoint import (
    Checkpoint,
    check_same_trial,
    pack,
    read_checkpoint,
    unpack,
    write_checkpoint,
)
from mtl_core.training.config import TrialConfig
from mtl_core.training.evaluation import average, evaluate
from mtl_core.training.lr_schedule import lr_factor
from mtl_core.training.models import (
    WordVectors,
    build_model,
    copy_parameters,
    load_parameters,
)
from mtl_core.training.updates import Updater
from mtl_core.weighting.methods import build_weighting


@dataclass(frozen=True, kw_only=True)
class EpochResult:
    """What an epoch came to.

    Args:
        epoch: From 1.
        loss: Mean of `losses` over the tasks.
        losses: Mean cross-entropy of each task over its steps of the epoch, unweighted, in nats.
        scores: Dev metric of each task after the epoch.
        average: Mean of `scores` over the tasks.
        tokens_per_second: Words trained on, without padding, over the time of the steps.
        seconds: The whole epoch, evaluation included.
        ended: Why the training ends here, "patience" or "epochs"; None where it goes on.
    """

    epoch: int
    loss: float
    losses: dict[str, float]
    scores: dict[str, float]
    average: float
    tokens_per_second: float
    seconds: float
    ended: str | None


class Diverged(Exception):  # noqa: N818 - a way for a training to end, not a fault of the program
    """A loss is infinite or not a number; `reason` says in which epoch, step and task."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Trainer:
    """One model in training, on one device.

    Args:
        seed: Decides the initial weights, the order of the data and every dropout.
        device: "cpu", or a CUDA device, where matrix products are in bfloat16.
        vectors: Word vectors to start from, and which words were found.
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        config: TrialConfig,
        *,
        seed: int,
        device: str | torch.device = "cpu",
        vectors: WordVectors | None = None,
    ) -> None:
        self.corpus, self.config, self.seed = corpus, config, seed
        self.device = torch.device(device)
        self.lengths = [corpus.split(k, "train").lengths for k in range(corpus.n_tasks)]
        self.weighting = build_weighting(
            config.weighting, corpus.names, n_rows=[len(n) for n in self.lengths], seed=seed
        ).to(self.device)
        self._check()
        self.model = build_model(corpus, config, seed=seed, vectors=vectors).to(self.device)
        self.updater = Updater(
            corpus, config, model=self.model, weighting=self.weighting, seed=seed
        )
        self.epoch = 0  # whole epochs done
        self.best = BestEpochs()

    def epochs(self) -> Iterator[EpochResult]:
        """Train from where this trainer is to the end, an epoch for each result.

        Raises:
            Diverged: A loss is infinite or not a number; the trainer is of no further use.
        """
        while self.ended is None:
            yield self._run_epoch()

    @property
    def ended(self) -> str | None:
        """Why there are no more epochs; None while there are."""
        training = self.config.training
        patience = training.patience_epochs
        if self.epoch >= training.epochs:
            return "epochs"
        if self.epoch and patience and self.epoch - self.best[AVERAGE].epoch >= patience:
            return "patience"
        return None

    def state_dict(self) -> Checkpoint:
        """Return all that a continuation needs; the tensors are the trainer's own, not copies."""
        best = {key: {"epoch": b.epoch, "score": b.score} for key, b in self.best.items()}
        about = {"epoch": self.epoch, "steps": self.updater.steps_done, "best": best}
        tensors = pack("model", dict(self.model.named_parameters()))
        tensors |= pack("optimizer", self.updater.optimizer.state_dict())
        tensors |= pack("weighting", self.weighting.state_dict())
        tensors |= pack("weighting_optimizer", self.updater.weighting_optimizer.state_dict())
        for epoch, state in self.best.states().items():
            tensors |= pack(f"best{epoch}", state)
        return Checkpoint(about | self._identity(), tensors)

    def load_state_dict(self, state: Checkpoint, source: str = "checkpoint") -> None:
        """Continue from `state`; raises `ConfigError` where it is of another trial.

        Args:
            source: Where the state is from, for the message.
        """
        check_same_trial(state.about, self._identity(), source)
        load_parameters(self.model, unpack("model", state.tensors))
        self.updater.optimizer.load_state_dict(unpack("optimizer", state.tensors))
        self.weighting.load_state_dict(unpack("weighting", state.tensors))
        self.updater.weighting_optimizer.load_state_dict(
            unpack("weighting_optimizer", state.tensors)
        )
        self.epoch, self.updater.steps_done = state.about["epoch"], state.about["steps"]
        self.best = BestEpochs.of(
            state.about["best"], lambda epoch: unpack(f"best{epoch}", state.tensors)
        )

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        write_checkpoint(path, self.state_dict())

    def load(self, path: Path) -> None:
        """Continue from a checkpoint of the same configuration, seed and corpus."""
        self.load_state_dict(read_checkpoint(path), str(path))

    def _identity(self) -> dict[str, object]:
        """Return what a checkpoint must agree in."""
        config = self.config.as_dict()
        return {"config": config, "seed": self.seed, "corpus": self.corpus.fingerprint}

    def _check(self) -> None:
        faults = []
        if self.weighting.needs_all_tasks and self.config.batches.regime != "joint":
            faults.append(
                f"weighting.method: {self.config.weighting.method!r} needs all tasks in each step; "
                "batches.regime must be 'joint'"
            )
        if AVERAGE in self.corpus.names:
            faults.append(f"data: a task is named {AVERAGE!r}, which stands for the mean of all")
        if faults:
            raise ConfigError(faults)

    def _run_epoch(self) -> EpochResult:
        started = time.perf_counter()
        epoch, names = self.epoch + 1, self.corpus.names
        steps = plan_epoch(self.lengths, names, self.config.batches, seed=self.seed, epoch=epoch)
        losses = self._take_steps(epoch, steps)
        trained = time.perf_counter()
        evaluations = evaluate(self.model, self.corpus, "dev", self.device)
        scores = {name: of_task.score for name, of_task in evaluations.items()}
        mean = average(evaluations)
        self.weighting.end_epoch(losses)
        self.epoch = epoch
        self.best.note(epoch, {AVERAGE: mean, **scores}, lambda: copy_parameters(self.model))
        return EpochResult(
            epoch=epoch,
            loss=losses.mean().item(),
            losses=dict(zip(names, losses.tolist(), strict=True)),
            scores=scores,
            average=mean,
            tokens_per_second=self._count_words(steps) / (trained - started),
            seconds=time.perf_counter() - started,
            ended=self.ended,
        )

    def _take_steps(self, epoch: int, steps: Sequence[Step]) -> Tensor:
        """Take the steps; return the mean loss of each task over its steps, (K,) float64."""
        totals = torch.zeros(self.corpus.n_tasks, dtype=torch.float64, device=self.device)
        counts = torch.zeros(self.corpus.n_tasks, dtype=torch.float64)
        everyone = tuple(range(self.corpus.n_tasks))
        self.model.train()
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            for number, step in enumerate(steps):
                progress = (epoch - 1 + (number + 0.5) / len(steps)) / self.config.training.epochs
                losses = self.updater.take(step, lr_factor(self.config.training, progress))
                tasks = torch.tensor([row.task for row in step])
                if self.device.type == "cpu":  # on a GPU it would wait; there each epoch is checked
                    self._check_finite(losses, tasks.tolist(), f"epoch {epoch}, step {number + 1}")
                totals.index_add_(0, tasks.to(self.device), losses.double())
                counts.index_add_(0, tasks, torch.ones(len(step), dtype=torch.float64))
        self._check_finite(totals, everyone, f"epoch {epoch}")
        return totals.cpu() / counts

    def _check_finite(self, losses: Tensor, tasks: Sequence[int], when: str) -> None:
        values = losses.tolist()
        if all(map(math.isfinite, values)):
            return
        wrong = [
            f"{self.corpus.names[task]} {value}"
            for task, value in zip(tasks, values, strict=True)
            if not math.isfinite(value)
        ]
        raise Diverged(f"{when}: the loss is no finite number ({', '.join(wrong)})")

    def _count_words(self, steps: Sequence[Step]) -> int:
        return sum(int(self.lengths[row.task][row.examples].sum()) for s in steps for row in s)
