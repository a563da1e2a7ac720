"""The training of one trial, as a generator of epoch results: an engine with one lane."""

from collections.abc import Iterator
from pathlib import Path

import torch

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.training.best import BestEpochs
from mtl_core.training.checkpoint import (
    Checkpoint,
    check_same_trial,
    read_checkpoint,
    write_checkpoint,
)
from mtl_core.training.config import TrialConfig
from mtl_core.training.engine import Engine
from mtl_core.training.mlm import WarmUp, WordVectors
from mtl_core.training.results import Diverged, EpochResult
from mtl_core.training.updater import Updater
from mtl_core.weighting.task_weighting import TaskWeighting

__all__ = ["Diverged", "EpochResult", "Trainer"]


class Trainer:
    """One model in training, on one device.

    Args:
        seed: Decides the initial weights, the order of the data and every dropout.
        device: "cpu", or a CUDA device.
        vectors: Word vectors to start from, and which words were found.
        warm_up: What warms up the encoder, where `config` asks for it.
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        config: TrialConfig,
        *,
        seed: int,
        device: str | torch.device = "cpu",
        vectors: WordVectors | None = None,
        warm_up: WarmUp | None = None,
    ) -> None:
        self.engine = Engine(corpus, device=device, vectors=vectors, warm_up=warm_up)
        self.lane = self.engine.open(config, seed)
        self.lengths = self.engine.around.lengths

    @property
    def model(self) -> MultiTaskEncoder:
        return self.lane.model

    @property
    def weighting(self) -> TaskWeighting:
        return self.lane.weighting

    @property
    def updater(self) -> Updater:
        """For measurements that take single steps, which no epoch counts."""
        return self.lane.updater

    @property
    def epoch(self) -> int:
        """Whole epochs done."""
        return self.lane.epoch

    @property
    def best(self) -> BestEpochs:
        return self.lane.best

    @property
    def ended(self) -> str | None:
        """Why there are no more epochs; None while there are."""
        return self.lane.ended

    def epochs(self) -> Iterator[EpochResult]:
        """Train from where this trainer is to the end, an epoch for each result.

        Raises:
            Diverged: A loss is infinite or not a number; the trainer is of no further use.
        """
        while self.ended is None:
            yield self._run_epoch()

    def state_dict(self) -> Checkpoint:
        """Return all that a continuation needs; the tensors are the trainer's own, not copies."""
        return self.lane.state()

    def load_state_dict(self, state: Checkpoint, source: str = "checkpoint") -> None:
        """Continue from `state`; raises `ConfigError` where it is of another trial.

        Args:
            source: Where the state is from, for the message.
        """
        check_same_trial(state.about, self.lane.identity, source)
        self.lane.load(state)

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        write_checkpoint(path, self.state_dict())

    def load(self, path: Path) -> None:
        """Continue from a checkpoint of the same configuration, seed and corpus."""
        self.load_state_dict(read_checkpoint(path), str(path))

    def _run_epoch(self) -> EpochResult:
        if self.lane.failure is not None:
            raise self.lane.failure
        while not (results := self.engine.results()):
            self.engine.step()
        _, result = results[0]
        if isinstance(result, Exception):
            raise result
        return result
