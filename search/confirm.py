"""The confirmation of a search: its shortlist trained from scratch with fresh seeds, and tested.

The engines of the search train on, without Tune: which runs there are is known beforehand
(`racing.py`), so the driver gives each a lane, asks for its epochs, and writes how it ended. A run
chooses its epoch on dev by itself and is tested in its engine (`confirm_epoch.py`); the journal has
both in one event, so a run that is in it is neither trained nor tested again.

A run whose engine was lost goes on elsewhere, at most `retries` times. What goes wrong inside
a run is its result, and the others go on.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from search.engine_pool import EnginePool
from search.failure import Loss, loss_of
from search.lane_file import prune_lanes
from search.lanes import Place
from search.progress import Progress
from search.racing import Racing, Wanted
from search.record import StudyRecord
from search.snapshots import prune_runs
from search.space import Space
from search.stop import StopSwitch
from search.time_shares import has_time
from search.trial import hang_in_words, in_one_line

TICK_SECONDS = 0.1


@dataclass(eq=False)
class InTraining:
    """A run in an engine, as far as the driver knows.

    Args:
        attempt: From 1.
        began: When this attempt did.
        heard_at: When its engine last answered or had moved; `steps` as it said then.
        epoch: The latest one; `average` is its dev mean.
    """

    run: Wanted
    place: Place
    attempt: int
    began: float
    heard_at: float
    steps: int = -1
    epoch: int = 0
    average: float = math.nan


@dataclass
class Confirming:
    """What a display may show of a confirmation, beside the record.

    Args:
        least: Runs that there are at least, those done included.
    """

    least: int
    in_training: dict[str, InTraining] = field(default_factory=dict)


class Confirmation:
    """Runs the trainings that are wanted, as many at a time as there are lanes.

    Args:
        record: Open for writing, with a shortlist.
        folder: The study's folder, where weights are kept.
        stop: Has the deadline, and says when all is given up; then nothing is written any more.
        measured: Called with what `EnginePool.tick` returns.
    """

    def __init__(
        self,
        space: Space,
        record: StudyRecord,
        folder: Path,
        engines: EnginePool,
        *,
        stop: StopSwitch,
        progress: Progress,
        measured: Callable[[dict[str, Any]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._record, self._folder, self._engines = record, folder, engines
        self._stop, self._progress, self._measured, self._clock = stop, progress, measured, clock
        self._retries = space.search.retries
        self._hang_seconds = 60 * space.search.hang_minutes
        self._racing = Racing(record, space.search.confirm, space.search.seed)
        self._wanted = self._racing.wanted()
        self._asked: dict[Any, InTraining] = {}  # by the answer that is to come
        self._losses: dict[str, Loss] = {}  # of runs that are to begin again
        self._shown = Confirming(self._racing.least())

    def run(self) -> str:
        """Return how it ended: "done", or "minutes" or "interrupted" with runs left."""
        self._progress.confirming(self._shown)
        while not self._stop.stop_all():
            self._hear_engines()
            if not self._begin_runs():
                return "minutes" if self._wanted else "done"
            for answer in _ready(list(self._asked)):
                self._take(self._asked.pop(answer), answer)
            self._move_those_that_hang()
            self._progress.tick()
        for run in list(self._shown.in_training):
            self._engines.release(run, keep=True)
        return self._stop.reason or "interrupted"

    def _begin_runs(self) -> bool:
        """Fill the lanes that are free; return whether anything is in training or will be."""
        waiting = [run for run in self._wanted if run.id not in self._shown.in_training]
        seconds = self._stop.seconds_left()
        begun = [run for run in waiting if has_time(run, self._record, seconds)]
        for run in begun[: self._engines.free()]:
            self._begin(run, run.attempt + 1)
        return bool(begun or self._shown.in_training)

    def _begin(self, run: Wanted, attempt: int) -> None:
        config = self._record.trials[run.trial].config
        place, lost = self._engines.place(run.id, config), self._losses.pop(run.id, None)
        self._record.append(
            "confirming",
            run=run.id,
            trial=run.trial,
            number=run.number,
            seed=run.seed,
            attempt=attempt,
            worker=place.engine,
            **({} if lost is None else {"lost": {"kind": lost.kind, "reason": lost.reason}}),
        )
        now = self._clock()
        training = InTraining(run, place, attempt, began=now, heard_at=now)
        self._shown.in_training[run.id] = training
        objective = self._record.objective
        proposal = {"trial": run.id, "config": config, "seed": run.seed, "objective": objective}
        self._asked[self._engines.open(place, proposal)] = training
        self._progress.changed()

    def _take(self, training: InTraining, answer: Any) -> None:
        """Go on with a run whose engine has answered."""
        try:
            result = ray.get(answer)
        except (RayError, ValueError) as error:
            self._lost(
                training, loss_of(in_one_line(self._engines.cause(training.place.engine, error)))
            )
            return
        training.heard_at = self._clock()
        for note in (result or {}).get("notes", ()):
            self._note(f"{training.place.engine}: {note}")
        if result is None or not result["done"]:  # None: it has been opened
            if result is not None:
                training.epoch, training.average = result["epoch"], result["average"]
            self._asked[self._engines.epoch(training.place)] = training
            self._progress.changed()
        elif "failure" in result:
            self._end("unconfirmed", training, **result["failure"])
        else:
            seconds = self._clock() - training.began
            found = {"epochs": result["epoch"], "seconds": seconds, **result["confirmed"]}
            self._end("confirmed", training, **found)

    def _lost(self, training: InTraining, loss: Loss) -> None:
        run = training.run
        self._engines.lost(training.place.engine)
        if training.attempt > self._retries:
            self._end("unconfirmed", training, **loss.as_failure())
            return
        self._leave(training, keep=True)
        self._note(f"{run.id} is begun again: {loss.reason}")
        self._losses[run.id] = loss
        self._wanted = self._racing.wanted()  # it is among them, with its attempts

    def _move_those_that_hang(self) -> None:
        """Begin runs again whose engines take no step, and start these anew; as trials do it."""
        for answer, training in list(self._asked.items()):
            if self._clock() - training.heard_at < self._hang_seconds / 2:
                continue
            pulse = self._engines.pulse(training.place.engine)
            if pulse is not None and pulse["steps"] != training.steps:
                training.steps, training.heard_at = pulse["steps"], self._clock()
                continue
            del self._asked[answer]
            self._engines.restart(training.place.engine)
            at = None if pulse is None else pulse["at"]
            self._lost(training, loss_of(hang_in_words(self._hang_seconds, at)))

    def _end(self, event: str, training: InTraining, **fields: Any) -> None:
        self._leave(training)
        self._record.append(event, run=training.run.id, trial=training.run.trial, **fields)
        prune_runs(self._folder, self._record)
        prune_lanes(self._folder, self._record)
        self._wanted = self._racing.wanted()
        self._progress.run_ended(training.run.id)

    def _leave(self, training: InTraining, *, keep: bool = False) -> None:
        self._engines.release(training.run.id, keep=keep)
        del self._shown.in_training[training.run.id]

    def _hear_engines(self) -> None:
        found = self._engines.tick()
        if found is not None:
            self._measured(found)

    def _note(self, text: str) -> None:
        self._record.append("noted", text=text)
        self._progress.say(text)


def _ready(answers: list[Any]) -> list[Any]:
    """Return the answers that are there, after a moment's wait for the first."""
    if not answers:
        time.sleep(TICK_SECONDS)
        return []
    return ray.wait(answers, num_returns=1, timeout=TICK_SECONDS)[0]
