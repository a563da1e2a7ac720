"""The engines of one search as its driver sees them: started, asked, and ended with it.

They are started before the driver gets ready itself, since they take the longest. Who trains where
is decided in `lanes.py`; a lane is freed from here, the moment its trial ends, so that it does not
wait for a client. Where nobody has said how many lanes an engine should have, the first engine
measures it while the first trials, one for each engine, are on their way.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import ray

from search.config import SearchConfig
from search.engines import EngineActor, Workplace
from search.lanes import Lanes, Place, names

REASON_CHARACTERS = 300


class EnginePool(Lanes):
    """Places for trials in engines that run.

    Args:
        n_engines: How many there is room for.
        each: Lanes of one engine, as far as it is known.

    Attributes:
        news: What a user should know of the engines, in words; to be taken from here.
    """

    def __init__(
        self, search: SearchConfig, workplace: Workplace, n_engines: int, *, each: int = 1
    ) -> None:
        super().__init__(names(n_engines), each, search.workers)
        actor = ray.remote(
            num_cpus=search.cpus_per_trial, num_gpus=search.gpus_per_trial, max_restarts=-1
        )(EngineActor)
        told = asdict(workplace)
        self._actors: dict[str, Any] = {
            name: actor.options(name=name).remote(told) for name in self.engines
        }
        self.news: deque[str] = deque()
        self._back: dict[Any, str] = {}  # answers to come from engines that were lost
        self._measured: Any = None

    def free(self) -> int:
        """Return how many more trials may begin now."""
        for answer in _answered(list(self._back)):
            self.down.discard(self._back.pop(answer))
        return super().free()

    def release(self, trial: str) -> Place | None:
        """Free the trial's lane; it has ended, or is to begin anew."""
        place = super().release(trial)
        if place is not None:
            self._actors[place.engine].close.remote(place.lane)
        return place

    def move(self, trial: str, config: Mapping[str, Any]) -> Place:
        """Return a new place for a trial that lost its client or its engine."""
        self.release(trial)
        return self.place(trial, config)

    def lost(self, engine: str) -> None:
        """Give an engine nothing to do until it is back; Ray starts it again by itself."""
        if engine not in self.down:
            self.down.add(engine)
            asking = self._actors[engine].state.options(max_task_retries=-1)
            self._back[asking.remote()] = engine
            self.news.append(f"{engine} was lost and is being started again")

    def open(self, place: Place, proposal: dict[str, Any]) -> Any:
        """Have a run begun there; return what Ray answers with, when the engine is up for it."""
        opening = self._actors[place.engine].open.options(max_task_retries=-1)
        return opening.remote(place.lane, proposal)

    def epoch(self, place: Place) -> Any:
        """Return what Ray answers with when the run there has its next result."""
        return self._actors[place.engine].epoch.remote(place.lane)

    def measure(self, configs: Sequence[dict[str, Any]], seed: int, most: int) -> None:
        """Have the first engine measure how many lanes pay; `tick` returns what it found."""
        first = self._actors[self.engines[0]]
        self._measured = first.calibrate.remote(list(configs), seed, most)

    def tick(self) -> dict[str, Any] | None:
        """Return what was measured, once: `lanes` and the `table`, or a `failure` in words."""
        if self._measured is None or not _answered([self._measured]):
            return None
        measured, self._measured = self._measured, None
        try:
            found: dict[str, Any] = ray.get(measured)
        except Exception as error:  # the search can do with one lane
            reason = " ".join(str(error).split())[-REASON_CHARACTERS:]
            return {"failure": f"how many lanes pay could not be measured, so 1 each: {reason}"}
        self.each = found["lanes"]
        return found

    def close(self) -> None:
        """End the engines, in the middle of whatever they do."""
        for actor in self._actors.values():
            ray.kill(actor)


def _answered(answers: list[Any]) -> list[Any]:
    return ray.wait(answers, num_returns=len(answers), timeout=0)[0] if answers else []
