"""An engine: lanes of different trials, trained side by side in one process on one device.

Each call of `step` takes one update of every lane that is among the steps of an epoch, and one
minibatch of dev of every lane that has done them; lanes of one family (`model/forward.py`) go
through each pass together. Lanes join and leave at any time. What a lane comes to does not depend
on the others, and what goes wrong with a lane is its own result: the others go on.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.model.forward import family
from mtl_core.training.checkpoint import Checkpoint, check_same_trial
from mtl_core.training.config import TrialConfig
from mtl_core.training.evaluation import SplitBatches, advance
from mtl_core.training.lane import Lane, Surroundings
from mtl_core.training.models import WordVectors
from mtl_core.training.results import EpochResult
from mtl_core.training.updates import take_together

Result = EpochResult | Exception  # the exceptions: Diverged, MemoryError, or what a lane raised


class Engine:
    """Trains the lanes that are open.

    Args:
        device: "cpu", or a CUDA device.
        vectors: Word vectors to start from, and which words were found.
        memory_share: Of the device's memory (on a CPU: of what is available now), the part that
            the lanes may take.
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        *,
        device: str | torch.device = "cpu",
        vectors: WordVectors | None = None,
        memory_share: float = 0.8,
    ) -> None:
        lengths = [corpus.split(task, "train").lengths for task in range(corpus.n_tasks)]
        place = torch.device(device)
        self.around = Surroundings(
            corpus, place, vectors, lengths, SplitBatches(corpus, "dev", place)
        )
        self.memory_share = memory_share
        self.notes: list[str] = []
        self._lanes: list[Lane] = []
        self._results: list[tuple[Lane, Result]] = []

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The lanes that are open, in the order in which they joined."""
        return tuple(self._lanes)

    def open(self, config: TrialConfig, seed: int, *, keep_best: bool = True) -> Lane:
        """Return a new lane.

        Args:
            seed: Decides the initial weights, the order of the data and every dropout.
            keep_best: Keep copies of the parameters of the best epochs, not their scores alone.

        Raises:
            ConfigError: The corpus cannot be trained on with this configuration.
            NoRoom: It does not fit beside the others.
        """
        lane = Lane(self.around, config, seed, keep_best=keep_best)
        self._lanes.append(lane)
        return lane

    def restore(self, checkpoint: Checkpoint, *, keep_best: bool = True) -> Lane:
        """Return a lane that continues where that of the checkpoint was."""
        config = TrialConfig.from_dict(checkpoint.about["config"])
        lane = self.open(config, checkpoint.about["seed"], keep_best=keep_best)
        check_same_trial(checkpoint.about, lane.identity, "checkpoint")
        lane.load(checkpoint)
        return lane

    def checkpoint(self, lane: Lane) -> Checkpoint:
        """Return all that the lane needs to continue in another engine, copied to the CPU."""
        state = lane.state()
        tensors = {name: t.detach().to("cpu", copy=True) for name, t in state.tensors.items()}
        return Checkpoint(state.about, tensors)

    def close(self, lane: Lane) -> None:
        """Let the lane go, and all of its tensors."""
        self._lanes.remove(lane)
        self._results = [(of, result) for of, result in self._results if of is not lane]

    def results(self) -> list[tuple[Lane, Result]]:
        """Return what lanes came to since the last call, in the order in which it came."""
        results, self._results = self._results, []
        return results

    def step(self) -> None:
        """Move every lane that is not held, has not failed, and has not ended."""
        wanted = [lane for lane in self._lanes if lane.wanted]
        with _own_random_numbers(self.around.device):
            for together in _families([lane for lane in wanted if lane.evaluation is None]):
                self._take(together, self._update)
            for together in _families([lane for lane in wanted if lane.evaluation is not None]):
                self._take(together, self._evaluate)

    def _take(self, lanes: list[Lane], run: Callable[[list[Lane]], None]) -> None:
        """Run a pass of these lanes; where it fails, one of each lane alone."""
        try:
            run(lanes)
        except Exception as error:
            if len(lanes) == 1:
                self._fail(lanes[0], error)
                return
        else:
            return
        for lane in lanes:
            self._take([lane], run)

    def _update(self, lanes: list[Lane]) -> None:
        began = time.perf_counter()
        updates = [lane.next_update() for lane in lanes]
        take_together(updates)
        seconds = time.perf_counter() - began
        for lane, update in zip(lanes, updates, strict=True):
            try:
                if update.error is not None:
                    raise update.error
                lane.note_update(update, seconds)
            except Exception as error:
                self._fail(lane, error)

    def _evaluate(self, lanes: list[Lane]) -> None:
        began = time.perf_counter()
        evaluations = [lane.evaluation for lane in lanes]
        advance([lane.model for lane in lanes], [e for e in evaluations if e is not None])
        seconds = time.perf_counter() - began
        for lane in lanes:
            try:
                result = lane.note_evaluation(seconds)
            except Exception as error:
                self._fail(lane, error)
            else:
                if result is not None:
                    self._results.append((lane, result))

    def _fail(self, lane: Lane, error: Exception) -> None:
        lane.failure = error
        self._results.append((lane, error))


def _families(lanes: Sequence[Lane]) -> list[list[Lane]]:
    """Return the lanes that can go through one pass, together."""
    groups: dict[object, list[Lane]] = {}
    for lane in lanes:
        groups.setdefault(family(lane.config.encoder), []).append(lane)
    return list(groups.values())


@contextmanager
def _own_random_numbers(device: torch.device) -> Iterator[None]:
    """Put the caller's random numbers back afterwards; `fork_rng` does the same more slowly."""
    state = torch.default_generator.get_state()
    on_device = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    try:
        yield
    finally:
        torch.default_generator.set_state(state)
        if on_device is not None:
            torch.cuda.set_rng_state(on_device, device)
