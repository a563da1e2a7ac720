"""The engines of one search as its driver sees them: started, asked, followed, ended with it.

They are started before the driver gets ready itself, since they take the longest. Who trains where
is decided in `lanes.py`; a lane is freed from here, the moment its trial ends, so that it does not
wait for a client. Where nobody has said how many lanes an engine should have, the first engine
measures it while the first trials, one for each engine, are on their way.

An engine that is lost is missed at once, and another is asked for under a new name; a machine that
joins the cluster gets engines too. Ray places them where there is room, and as long as there is
none an autoscaler sees what is wanted. They are not restarted by Ray, whose errors would no longer
say what was lost.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError

from search.config import SearchConfig
from search.contact import CAUSE_SECONDS, actor_name, cause_of
from search.engines import EngineActor, Workplace
from search.failure import loss_of
from search.lanes import Lanes, Place

REASON_CHARACTERS = 300
ANSWER_SECONDS = 10.0
SAVING_SECONDS = 8.0  # that lanes may take to be saved when a search is given up
LOOK_SECONDS = 1.0  # between two looks at the machines of the cluster
PATIENT_SECONDS = 30.0  # without an engine, after which a user is told
END_SECONDS = 2 * CAUSE_SECONDS  # till a lost engine is ended; Ray then tells no other cause
CALM_SECONDS = 5.0  # before another engine is started after one that never came up


class EnginePool(Lanes):
    """Places for trials in engines that run.

    Args:
        n_engines: How many there is room for.
        each: Lanes of one engine, as far as it is known.
        room: Says how many there should be by now, as machines come and go; None: as many as at
            first, and none of them has to wait for room.
        tell: Told in words what a user should know of the engines, by whatever call finds it out:
            Tune may ask for nothing but new trials for a while.
        clock: In seconds, from any beginning.
    """

    def __init__(
        self,
        search: SearchConfig,
        workplace: Workplace,
        n_engines: int,
        *,
        each: int = 1,
        room: Callable[[], int] | None = None,
        tell: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__((), each, search.workers)
        self._actor: Any = ray.remote(
            num_cpus=search.cpus_per_trial,
            num_gpus=search.gpus_per_trial,
            max_restarts=0,
            scheduling_strategy="SPREAD",
        )(EngineActor)
        self._told = {part.name: getattr(workplace, part.name) for part in fields(workplace)}
        self.study = Path(workplace.folder).name
        self._wanted, self._room, self._clock = n_engines, room, clock
        self._tell = tell or (lambda _: None)
        self._actors: dict[str, Any] = {}  # those that were lost too
        self._n_started = 0
        self._hung: set[str] = set()  # engines
        self._suspects: set[str] = set()  # trials that were in them
        self._ends: dict[Any, str] = {}  # answers that come when an engine is lost
        self._end_at: dict[str, float] = {}  # lost engines
        self._back: dict[Any, str] = {}  # answers that come when an engine is up
        self._look_at = self._start_at = clock()
        self._measured: Any = None
        self._saving: list[Any] = []  # answers to come from lanes that are saved
        for _ in range(n_engines):
            self._start() if room is None else self._replace()
        self._first = self.engines
        self._waits_from = clock()

    def free(self) -> int:
        """Return how many more trials may begin now.

        It looks at the engines itself: where no trial is under way Tune asks for one again and
        again, and nothing else happens (Ray 2.60).
        """
        self._see()
        return super().free()

    def release(self, trial: str, *, keep: bool = False) -> Place | None:
        """Free the trial's lane, which is saved first where the trial has not ended (`keep`)."""
        place = super().release(trial)
        if place is not None and place.engine in self.engines:
            closing = self._actors[place.engine].close.remote(place.lane, keep=keep)
            if keep:
                self._saving.append(closing)
        return place

    def move(self, trial: str, config: Mapping[str, Any], *, suspect: bool = False) -> Place:
        """Return a new place for a trial that lost its client or its engine.

        Args:
            suspect: Its engine hung, so it goes where no other such trial is: then it shows whose
                fault it was.
        """
        self.release(trial, keep=True)
        others = self._suspects - {trial} if suspect else set()
        if suspect:
            self._suspects.add(trial)
            self._fill()  # what takes the place of the engine is among those to choose from
        return self.place(trial, config, apart_from=others)

    def lost(self, engine: str) -> None:
        """Give an engine nothing to do any more; another takes its place.

        It is ended later on: one that was only out of reach would keep the room of the other for
        itself.
        """
        if engine not in self.engines:
            return
        if engine in self.down:  # it never came up
            self._start_at = self._clock() + CALM_SECONDS
        self._end_at[engine] = self._clock() + END_SECONDS
        self.down.discard(engine)
        self.engines = tuple(other for other in self.engines if other != engine)
        self._tell(f"{engine} was lost, another takes its place")
        if not self.engines:  # its trials must have somewhere to go
            self._replace()

    def restart(self, engine: str) -> None:
        """End an engine that hangs; its trials go on where they were saved."""
        if engine in self.engines:
            self._hung.add(engine)
            ray.kill(self._actors[engine])
            self.lost(engine)

    def hung(self, engine: str) -> bool:
        """Whether it was ended because it hung."""
        return engine in self._hung

    def pulse(self, engine: str) -> dict[str, Any] | None:
        """Return what `EngineActor.pulse` does; None where there is no answer."""
        try:
            found: dict[str, Any] = ray.get(
                self._actors[engine].pulse.remote(), timeout=ANSWER_SECONDS
            )
        except GetTimeoutError:
            return None
        return found

    def cause(self, engine: str, error: Exception) -> Exception:
        """Return why an engine brought that error."""
        return cause_of(error, self._actors[engine])

    def open(self, place: Place, proposal: dict[str, Any]) -> Any:
        """Have a run begun there; return what Ray answers with, when the engine is up for it."""
        return self._actors[place.engine].open.remote(place.lane, proposal)

    def epoch(self, place: Place) -> Any:
        """Return what Ray answers with when the run there has its next result."""
        return self._actors[place.engine].epoch.remote(place.lane)

    def measure(self, configs: Sequence[dict[str, Any]], seed: int, most: int) -> None:
        """Have the first engine measure how many lanes pay; `tick` returns what it found."""
        first = self._actors[self.engines[0]]
        self._measured = first.calibrate.remote(list(configs), seed, most)

    def tick(self) -> dict[str, Any] | None:
        """See which engines are gone, up, and wanted; return what was measured, once.

        That is `lanes` and the `table`, or a `failure` in words.
        """
        self._see()
        if self._measured is None or not _answered([self._measured]):
            return None
        measured, self._measured = self._measured, None
        try:
            found: dict[str, Any] = ray.get(measured)
        except Exception as error:  # the search can do with one lane
            reason = _reason_of(error)
            return {"failure": f"how many lanes pay could not be measured, so 1 each: {reason}"}
        self.each = found["lanes"]
        return found

    def close(self) -> None:
        """End the engines, in the middle of whatever they do but saving lanes."""
        if self._saving:
            ray.wait(self._saving, num_returns=len(self._saving), timeout=SAVING_SECONDS)
        for actor in self._actors.values():  # of lost ones too, which a kill may not have reached
            ray.kill(actor)

    def _see(self) -> None:
        """Take note of engines that are gone or up, and start those that are wanted."""
        for answer in _answered(list(self._ends)):
            self.lost(self._ends.pop(answer))
        for answer in _answered(list(self._back)):
            engine = self._back.pop(answer)
            if engine in self.down:
                self.down.discard(engine)
                if engine not in self._first:
                    self._tell(f"{engine} is up")
        self._fill()

    def _fill(self) -> None:
        """Start engines in place of lost ones, and where machines have joined."""
        now = self._clock()
        if self._room is not None and now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self._wanted = max(1, self._room())
            self._complain(now)
        for engine in [engine for engine, due in self._end_at.items() if now >= due]:
            del self._end_at[engine]
            ray.kill(self._actors[engine])
        while len(self.engines) < self._wanted and now >= self._start_at:
            self._replace()

    def _complain(self, now: float) -> None:
        """Say so where no engine is up for long: other programs use the cluster, perhaps."""
        if len(self.down) < len(self.engines):
            self._waits_from = now
        elif now - self._waits_from >= PATIENT_SECONDS:
            self._waits_from = math.inf
            self._tell("no engine is up yet: what the cluster has may be in use by others")

    def _replace(self) -> None:
        """Start an engine that gets no trial before it is up, while there are others."""
        engine = self._start()
        self.down.add(engine)
        self._back[self._actors[engine].state.remote()] = engine

    def _start(self) -> str:
        self._n_started += 1
        engine = f"engine{self._n_started}"
        actor = self._actor.options(name=actor_name(self.study, engine)).remote(self._told)
        self._actors[engine] = actor
        self._ends[actor.until_lost.remote()] = engine
        self.engines = (*self.engines, engine)
        return engine


def _reason_of(error: Exception) -> str:
    """Return why there is no answer: what was lost, or the last of what went wrong."""
    if isinstance(error, RayActorError):
        return loss_of(error).reason
    return " ".join(str(error).split())[-REASON_CHARACTERS:]


def _answered(answers: list[Any]) -> list[Any]:
    return ray.wait(answers, num_returns=len(answers), timeout=0)[0] if answers else []
