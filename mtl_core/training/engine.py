"""An engine: lanes of different trials, trained side by side in one process on one device.

Each call of `step` takes one update of every lane that is among the steps of an epoch, and one
minibatch of dev of every lane that has done them (`passes.py`). Lanes join and leave at any time.
What a lane comes to does not depend on the others, and what goes wrong with a lane is its own
result: the others go on.
"""

import torch

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.training.checkpoint import Checkpoint, check_same_trial
from mtl_core.training.config import TrialConfig
from mtl_core.training.device_memory import is_memory_error, memory_of
from mtl_core.training.evaluation import SplitBatches
from mtl_core.training.lane import Lane
from mtl_core.training.memory import LaneMemory
from mtl_core.training.mlm import WarmUp, WordVectors
from mtl_core.training.passes import Passes, Result, wait_for
from mtl_core.training.places import Places
from mtl_core.training.results import NoRoom
from mtl_core.training.surroundings import Surroundings


class Engine:
    """Trains the lanes that are open.

    Args:
        device: "cpu", or a CUDA device.
        vectors: Word vectors to start from, and which words were found.
        warm_up: What warms up the encoders that ask for it, when the first of each is opened.
        memory_share: Of the device's memory (on a CPU: of what is available now), the part that
            the lanes may take. A lane that is alone may take more.
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        *,
        device: str | torch.device = "cpu",
        vectors: WordVectors | None = None,
        warm_up: WarmUp | None = None,
        memory_share: float = 0.8,
    ) -> None:
        place = torch.device(device)
        self.around = Surroundings(
            corpus=corpus,
            device=place,
            vectors=vectors,
            lengths=corpus.lengths("train"),
            dev=SplitBatches(corpus, "dev", place),
            warm_up=warm_up,
        )
        self.budget = int(memory_share * memory_of(place))  # bytes
        self._memory = LaneMemory(corpus)
        self._places = Places(place)
        self._passes = Passes(self._places, place)
        self._lanes: list[Lane] = []
        self._n_steps = 0

    @property
    def n_steps(self) -> int:
        """The steps taken by now, those of warm-ups too; who watches that it moves may ask."""
        warm_up = self.around.warm_up
        return self._n_steps + (0 if warm_up is None else warm_up.n_steps)

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The lanes that are open, in the order in which they joined."""
        return tuple(self._lanes)

    @property
    def notes(self) -> list[str]:
        """What befell the engine so far, in words."""
        return self._passes.notes

    def need(self, config: TrialConfig) -> int:
        """Return the bytes that such a lane takes; what a step takes of it may be an estimate."""
        return self._memory.need(config)

    def room(self, config: TrialConfig) -> int:
        """Return how many more such lanes fit; an engine without lanes takes one in any case."""
        free = self.budget - self._taken()
        count = min(free // self.need(config), self._places.free(self._lanes))
        return max(count, 0 if self._lanes else 1)

    def open(self, config: TrialConfig, seed: int, *, keep_best: bool = True) -> Lane:
        """Return a new lane.

        Args:
            seed: Decides the initial weights, the order of the data and every dropout.
            keep_best: Keep copies of the parameters of the best epochs, not their scores alone.

        Raises:
            ConfigError: The corpus cannot be trained on with this configuration.
            NoRoom: It does not fit beside the others.
        """
        try:
            if self._lanes:
                self._check_room(config)
            lane = Lane(self.around, config, seed, keep_best=keep_best)
            if self._lanes:
                self._measure(lane)
                self._check_room(config)  # it may take more than was estimated
        except Exception as error:
            if not (self._lanes and is_memory_error(error)):
                raise
            raise self._no_room(config) from None
        self._lanes.append(lane)
        return lane

    def restore(self, checkpoint: Checkpoint, *, keep_best: bool = True) -> Lane:
        """Return a lane that continues where that of the checkpoint was.

        Args:
            keep_best: As in `open`; only where that lane has kept them too.

        Raises:
            ConfigError: The checkpoint is of another corpus, or lacks something.
            NoRoom: It does not fit beside the others.
        """
        fingerprint = {"corpus": self.around.corpus.fingerprint}
        check_same_trial(checkpoint.about, fingerprint, "checkpoint")
        config = TrialConfig.from_dict(checkpoint.about["config"])
        lane = self.open(config, checkpoint.about["seed"], keep_best=keep_best)
        try:
            lane.load(checkpoint)
        except Exception as error:
            self.close(lane)
            if not (self._lanes and is_memory_error(error)):
                raise
            raise self._no_room(config) from None
        return lane

    def checkpoint(self, lane: Lane) -> Checkpoint:
        """Return all that the lane needs to continue in another engine, copied to the CPU."""
        state = lane.state()
        tensors = {name: t.detach().to("cpu", copy=True) for name, t in state.tensors.items()}
        return Checkpoint(state.about, tensors)

    def close(self, lane: Lane) -> None:
        """Let the lane go, and all of its tensors."""
        self._lanes.remove(lane)
        self._passes.forget(lane)
        lane.release()

    def results(self) -> list[tuple[Lane, Result]]:
        """Return what lanes came to since the last call, in the order in which it came."""
        results, self._passes.results = self._passes.results, []
        return results

    def step(self) -> None:
        """Move every lane that is not held, has not failed, and has not ended.

        Raises:
            Exception: The device is lost to this process, and with it all lanes.
        """
        self._passes.step(self._lanes)
        self._n_steps += 1

    def wait(self) -> None:
        """Wait until the device has done what it was given; for who measures time."""
        wait_for(self.around.device)

    def _check_room(self, config: TrialConfig) -> None:
        """Raise `NoRoom` where such a lane does not fit beside those that are there."""
        for lane in self._lanes:  # one that was alone has not been measured
            self._measure(lane)
        refusal = self._no_room(config)
        if refusal.need > refusal.free or not self._places.free(self._lanes):
            raise refusal

    def _no_room(self, config: TrialConfig) -> NoRoom:
        return NoRoom(self.need(config), max(0, self.budget - self._taken()))

    def _measure(self, lane: Lane) -> None:
        if not (lane.parked or lane.failure or self._memory.is_measured(lane.config)):
            self._memory.measure(lane)

    def _taken(self) -> int:
        return sum(self.need(lane.config) for lane in self._lanes if self._holds_memory(lane))

    def _holds_memory(self, lane: Lane) -> bool:
        return self.around.device.type == "cpu" or not lane.parked
