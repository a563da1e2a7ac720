"""A lane: one trial's place in an engine, with all that belongs to it alone.

Its model, optimiser and weighting, and where it is: which step of which epoch, or how far through
the dev rows. The engine (`engine.py`) decides when it moves; what a move does to it is decided
here. All that is random follows from its seed with the epoch or the step, so a lane is the same
alone and among others, and one that continues from a checkpoint is the uninterrupted one: on a CPU,
to the bit. Shapes: K tasks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mtl_core.data.batches import plan_epoch
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.minibatch import Step
from mtl_core.errors import ConfigError
from mtl_core.training.best import AVERAGE, BestEpochs
from mtl_core.training.checkpoint import Checkpoint, check_complete, pack, unpack
from mtl_core.training.config import TrialConfig
from mtl_core.training.epoch_losses import EpochLosses
from mtl_core.training.evaluation import Evaluation, SplitBatches, average
from mtl_core.training.lr_schedule import lr_factor
from mtl_core.training.mlm import WarmUp, WordVectors
from mtl_core.training.models import build_model, copy_parameters, load_parameters
from mtl_core.training.results import EpochResult
from mtl_core.training.updates import Update, Updater
from mtl_core.weighting.methods import build_weighting


@dataclass(frozen=True)
class Surroundings:
    """What all lanes of an engine have in common.

    Args:
        vectors: Word vectors to start from, and which words were found.
        lengths: Words of every train text, one array per task.
        dev: The dev rows.
        warm_up: What warms up the encoders that ask for it.
    """

    corpus: EncodedCorpus
    device: torch.device
    vectors: WordVectors | None
    lengths: Sequence[np.ndarray]
    dev: SplitBatches
    warm_up: WarmUp | None = None


class Lane:
    """One trial in training.

    Attributes:
        epoch: Whole epochs done.
        best: The best epochs so far, with copies of their parameters where these are kept.
        held: Set by a caller: the engine passes over the lane.
        parked: Set by the engine: it waits for a place.
        failure: Why it trains no more: `Diverged`, or another exception.
    """

    def __init__(
        self, around: Surroundings, config: TrialConfig, seed: int, *, keep_best: bool
    ) -> None:
        self.config, self.seed, self.keep_best = config, seed, keep_best
        self._around = around
        corpus = around.corpus
        self.weighting = build_weighting(
            config.weighting, corpus.names, n_rows=[len(n) for n in around.lengths], seed=seed
        ).to(around.device)
        self._check()
        model = build_model(
            corpus, config, seed=seed, vectors=around.vectors, warm_up=around.warm_up
        )
        self.model = model.to(around.device)
        self.updater = self._new_updater()
        self.epoch = 0
        self.best = BestEpochs()
        self.held = self.parked = False
        self.failure: Exception | None = None
        self._steps: list[Step] = []  # of the epoch under way, once they have been asked for
        self._evaluation: Evaluation | None = None
        self._losses = EpochLosses(around.corpus.names)
        self._start_epoch()

    @property
    def ended(self) -> str | None:
        """Why there are no more epochs, "epochs" or "patience"; None while there are."""
        training = self.config.training
        patience = training.patience_epochs
        if self.epoch >= training.epochs:
            return "epochs"
        if self.epoch and patience and self.epoch - self.best[AVERAGE].epoch >= patience:
            return "patience"
        return None

    @property
    def is_going(self) -> bool:
        """Whether it has neither failed nor ended."""
        return self.failure is None and self.ended is None

    @property
    def wanted(self) -> bool:
        """Whether the next step of the engine is to move it."""
        return self.is_going and not self.held

    @property
    def evaluation(self) -> Evaluation | None:
        """How far the dev rows are done after the epoch's steps; None among the steps."""
        return self._evaluation

    @property
    def steps(self) -> list[Step]:
        """The steps of the epoch under way."""
        if not self._steps:
            around = self._around
            names, batches, epoch = around.corpus.names, self.config.batches, self.epoch + 1
            self._steps = plan_epoch(around.lengths, names, batches, seed=self.seed, epoch=epoch)
        return self._steps

    def next_update(self) -> Update:
        """Return the next steps of the epoch, to be taken and then given to `note_update`."""
        training = self.config.training
        steps = self.steps[self._place :][: training.accumulate]
        middle = self._place + len(steps) / 2
        progress = (self.epoch + middle / len(self.steps)) / training.epochs
        return Update(self.updater, steps, lr_factor(training, progress))

    def note_update(self, update: Update, seconds: float) -> None:
        """Take note of an update that was taken, and of the time it took.

        Raises:
            Diverged: A loss is infinite or not a number.
        """
        taken = zip(update.steps, update.losses, update.values, strict=update.done)
        for step, losses, values in taken:
            tasks = [row.task for row in step]
            if values:
                when = f"epoch {self.epoch + 1}, step {self._place + 1}"
                self._losses.check(tasks, values, when)
            self._losses.add(tasks, losses, values)
            self._place += 1
        self._seconds += seconds
        if self._place == len(self.steps):
            self._start_evaluation()

    def note_evaluation(self, seconds: float) -> EpochResult | None:
        """Take note that a minibatch of dev was done; return the epoch's result if it was the last.

        Where memory runs out in that, it can be called again.

        Raises:
            Diverged: A loss of the epoch was infinite or not a number.
        """
        assert self._evaluation is not None
        self._evaluation_seconds += seconds
        return self._end_epoch(self._evaluation) if self._evaluation.done else None

    def rewind(self) -> None:
        """Go back to the first step of the epoch, weights as they are; for who measures time."""
        steps = self._steps
        self._start_epoch()
        self._steps = steps

    def move(self, device: torch.device) -> None:
        """Move all tensors to another device."""
        self._losses.totals()  # which reads what is still on the device
        if self._evaluation is not None:
            self._start_evaluation()
        state, steps_done = self.updater.state_dict(), self.updater.steps_done
        self.model.to(device)
        self.weighting.to(device)
        self.updater = self._new_updater()
        self.updater.load_state_dict(state, steps_done)

    def release(self) -> None:
        """Let all tensors go, whoever still holds the lane; the best epochs' copies stay."""
        self.updater.release()
        self._start_epoch()
        self.model.to("meta")  # which keeps the shapes alone

    def state(self) -> Checkpoint:
        """Return all that a continuation needs; the tensors are the lane's own, not copies."""
        best = {key: {"epoch": b.epoch, "score": b.score} for key, b in self.best.items()}
        about = {"position": self.position, "losses": self._losses.totals(), "best": best}
        tensors = pack("model", dict(self.model.named_parameters()))
        tensors |= pack("weighting", self.weighting.state_dict())
        tensors |= self.updater.state_dict()
        for epoch, state in self.best.states().items():
            tensors |= pack(f"best{epoch}", state)
        return Checkpoint(about | self.identity, tensors)

    def load(self, checkpoint: Checkpoint) -> None:
        """Go to where the lane of the checkpoint was, which is of the same trial.

        Raises:
            ConfigError: A tensor is missing, be it of a best epoch where these are kept.
        """
        about, tensors = checkpoint.about, checkpoint.tensors
        kept = dict(self.model.named_parameters()) if self.keep_best else {}
        check_complete(checkpoint, self.state().tensors, kept)
        load_parameters(self.model, unpack("model", tensors))
        self.weighting.load_state_dict(unpack("weighting", tensors))
        self.updater.load_state_dict(tensors, about["position"]["step"])
        self.best = BestEpochs.of(
            about["best"], lambda epoch: unpack(f"best{epoch}", tensors) if self.keep_best else {}
        )
        self.epoch = about["position"]["epoch"]
        self._start_epoch()
        self._place = self._first_place = about["position"]["step_in_epoch"]
        self._losses = EpochLosses(self._losses.names, about["losses"])
        if self._place and self._place == len(self.steps):
            self._start_evaluation()

    @property
    def position(self) -> dict[str, int]:
        """Where the lane is in its data, and what all of its random numbers follow from."""
        return {
            "epoch": self.epoch,
            "step": self.updater.steps_done,
            "step_in_epoch": self._place,
            "seed": self.seed,
        }

    @property
    def identity(self) -> dict[str, object]:
        """What a checkpoint must agree in."""
        config = self.config.as_dict()
        return {"config": config, "seed": self.seed, "corpus": self._around.corpus.fingerprint}

    def _check(self) -> None:
        faults = []
        n_frozen, n_layers = self.config.training.frozen_layers, self.config.encoder.n_layers
        if n_frozen > n_layers:
            faults.append(
                f"training.frozen_layers: {n_frozen} of the {n_layers} layers of "
                f"encoder.n_layers; must be 0 to {n_layers}"
            )
        if self.weighting.needs_all_tasks and self.config.batches.regime != "joint":
            faults.append(
                f"weighting.method: {self.config.weighting.method!r} needs all tasks in each step; "
                "batches.regime must be 'joint'"
            )
        if AVERAGE in self._around.corpus.names:
            faults.append(f"data: a task is named {AVERAGE!r}, which stands for the mean of all")
        if faults:
            raise ConfigError(faults)

    def _new_updater(self) -> Updater:
        return Updater(
            self._around.corpus,
            self.config,
            model=self.model,
            weighting=self.weighting,
            seed=self.seed,
        )

    def _start_epoch(self) -> None:
        self._steps = []
        self._place = self._first_place = 0  # in the epoch; where its timed part begins
        self._losses = EpochLosses(self._around.corpus.names)
        self._evaluation = None
        self._seconds = self._evaluation_seconds = 0.0

    def _start_evaluation(self) -> None:
        self._evaluation = Evaluation(self._around.dev, self.config.encoder.ngrams_seen)

    def _end_epoch(self, evaluation: Evaluation) -> EpochResult:
        names = self._around.corpus.names
        losses = self._losses.means(self.steps)
        self._losses.check(range(len(losses)), losses, f"epoch {self.epoch + 1}")
        evaluations = evaluation.result()
        scores = {name: of_task.score for name, of_task in evaluations.items()}
        mean, n_words = average(evaluations), self._count_words()
        self.best.note(self.epoch + 1, {AVERAGE: mean, **scores}, self._copy_parameters)
        self.weighting.end_epoch(torch.tensor(losses, dtype=torch.float64))
        self.epoch += 1
        result = EpochResult(
            epoch=self.epoch,
            loss=sum(losses) / len(losses),
            losses=dict(zip(names, losses, strict=True)),
            scores=scores,
            average=mean,
            tokens_per_second=n_words / self._seconds if self._seconds else 0.0,
            seconds=self._seconds + self._evaluation_seconds,
            ended=self.ended,
            evaluations=evaluations,
        )
        self._start_epoch()
        return result

    def _copy_parameters(self) -> dict[str, Tensor]:
        return copy_parameters(self.model) if self.keep_best else {}

    def _count_words(self) -> int:
        """Return the words of the steps whose time was taken."""
        lengths = self._around.lengths
        timed = self.steps[self._first_place :]
        return sum(int(lengths[row.task][row.examples].sum()) for step in timed for row in step)
