"""A lane: one trial's place in an engine, with all that belongs to it alone.

Its model, optimiser and weighting, and the epoch that it is in (`epoch.py`). The engine
(`engine.py`) decides when it moves; what a move does to it is decided here. All that is random
follows from its seed with the epoch or the step, so a lane is the same alone and among others, and
one that continues from a checkpoint is the uninterrupted one: on a CPU, to the bit.
"""

import torch
from torch import Tensor

from mtl_core.data.minibatch import Step
from mtl_core.errors import ConfigError
from mtl_core.training.best import AVERAGE, BestEpochs
from mtl_core.training.checkpoint import Checkpoint, check_complete, pack, unpack
from mtl_core.training.config import TrialConfig
from mtl_core.training.epoch import Epoch
from mtl_core.training.evaluation import Evaluation
from mtl_core.training.lr_schedule import lr_factor
from mtl_core.training.models import build_model, copy_parameters, load_parameters
from mtl_core.training.results import EpochResult
from mtl_core.training.surroundings import Surroundings
from mtl_core.training.task_evaluation import average
from mtl_core.training.updater import Updater
from mtl_core.training.updates import Update
from mtl_core.weighting.methods import build_weighting


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
        self._now = self._next_epoch()

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
        return self._now.evaluation

    @property
    def steps(self) -> list[Step]:
        """The steps of the epoch under way."""
        return self._now.steps

    def next_update(self) -> Update:
        """Return the next steps of the epoch, to be taken and then given to `note_update`."""
        factor = lr_factor(self.config.training, self._now.progress)
        return Update(self.updater, self._now.next_steps, factor)

    def note_update(self, update: Update, seconds: float) -> None:
        """Take note of an update that was taken, and of the time it took.

        Raises:
            Diverged: A loss is infinite or not a number.
        """
        self._now.note_update(update, seconds)

    def note_evaluation(self, seconds: float) -> EpochResult | None:
        """Take note that a minibatch of dev was done; return the epoch's result if it was the last.

        Where memory runs out in that, it can be called again.

        Raises:
            Diverged: A loss of the epoch was infinite or not a number.
        """
        assert self.evaluation is not None
        self._now.seconds += seconds
        return self._end_epoch(self.evaluation) if self.evaluation.done else None

    def rewind(self) -> None:
        """Go back to the first step of the epoch, weights as they are; for who measures time."""
        self._now.begin()

    def move(self, device: torch.device) -> None:
        """Move all tensors to another device."""
        self._now.totals()  # which reads what is still on the device
        if self.evaluation is not None:
            self._now.evaluate()
        state, steps_done = self.updater.state_dict(), self.updater.steps_done
        self.model.to(device)
        self.weighting.to(device)
        self.updater = self._new_updater()
        self.updater.load_state_dict(state, steps_done)

    def release(self) -> None:
        """Let all tensors go, whoever still holds the lane; the best epochs' copies stay."""
        self.updater.release()
        self._now = self._next_epoch()
        self.model.to("meta")  # which keeps the shapes alone

    def state(self) -> Checkpoint:
        """Return all that a continuation needs; the tensors are the lane's own, not copies."""
        best = {key: {"epoch": b.epoch, "score": b.score} for key, b in self.best.items()}
        about = {"position": self.position, "losses": self._now.totals(), "best": best}
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
        self._now = self._next_epoch()
        self._now.go_to(about["position"]["step_in_epoch"], about["losses"])

    @property
    def position(self) -> dict[str, int]:
        """Where the lane is in its data, and what all of its random numbers follow from."""
        return {
            "epoch": self.epoch,
            "step": self.updater.steps_done,
            "step_in_epoch": self._now.place,
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

    def _next_epoch(self) -> Epoch:
        return Epoch(self._around, self.config, seed=self.seed, number=self.epoch + 1)

    def _end_epoch(self, evaluation: Evaluation) -> EpochResult:
        names, now, losses = self._around.corpus.names, self._now, self._now.mean_losses()
        evaluations = evaluation.result()
        scores = {name: of_task.score for name, of_task in evaluations.items()}
        mean = average(evaluations)
        self.best.note(self.epoch + 1, {AVERAGE: mean, **scores}, self._copy_parameters)
        self.weighting.end_epoch(torch.tensor(losses, dtype=torch.float64))
        self.epoch += 1
        result = EpochResult(
            epoch=self.epoch,
            loss=sum(losses) / len(losses),
            losses=dict(zip(names, losses, strict=True)),
            scores=scores,
            average=mean,
            tokens_per_second=now.words_per_second(),
            seconds=now.seconds,
            ended=self.ended,
            evaluations=evaluations,
        )
        self._now = self._next_epoch()
        return result

    def _copy_parameters(self) -> dict[str, Tensor]:
        return copy_parameters(self.model) if self.keep_best else {}
