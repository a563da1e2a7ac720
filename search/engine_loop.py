"""The loop of one engine: lanes are opened, trained an epoch at a time, and closed.

A thread of its own takes the engine's steps (`mtl_core/training/engine.py`), and between two of
them does what was ordered; nobody else touches the engine. It sleeps while no lane is under way.

A lane goes on while its last result is on the way to the driver, but by less than one epoch: it is
held when it has a result that nobody has asked for. So the weights of an epoch are those in the
lane when its result is handed out, and are saved then (`seat.py`).

What goes wrong inside a trial is its result, `{"failure": {kind, reason, traceback}}`. What goes
wrong in the engine itself is `EngineLost` for all its trials, which then go on in another.
"""

import queue
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.failure import EngineLost, describe_failure
from search.seat import Result, Seat

if TYPE_CHECKING:  # torch comes with them
    from mtl_core.training.engine import Engine
    from mtl_core.training.lane import Lane
    from mtl_core.training.results import EpochResult


class EngineLoop:
    """Trains what is opened, in a thread of its own, until the process ends.

    Args:
        build: Makes the engine; called at once, and again for each trial as long as it fails.
        folder: The study's folder, for the weights that are kept.
        on_broken: Called when the engine itself fails, after all its trials were told.
    """

    def __init__(
        self, build: "Callable[[], Engine]", folder: Path, *, on_broken: Callable[[], None]
    ) -> None:
        self._build, self._folder, self._on_broken = build, folder, on_broken
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._seats: dict[str, Seat] = {}
        self._engine: Engine | None = None
        self._notes: list[str] = []  # of this loop, that nobody was told yet
        self._notes_told = 0  # of the engine's
        self._n_orders = 0  # that were carried out
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def order(self, work: Callable[[], Any]) -> "Future[Any]":
        """Have `work` done by the thread, between two steps of the engine."""
        future: Future[Any] = Future()

        def carry_out() -> None:
            try:
                _answer(future, work())
            except Exception as error:
                _answer(future, error)

        self._orders.put(carry_out)
        return future

    def calibrate(self, configs: list[dict[str, Any]], seed: int, most: int) -> "Future[Result]":
        return self.order(lambda: self._calibrate(configs, seed, most))

    def open(self, lane: str, proposal: dict[str, Any]) -> "Future[None]":
        """Begin a trial, or leave it as it is if it has begun under that name.

        Args:
            proposal: `config` (`TrialConfig.as_dict()`), `seed`, `trial` and `leaders`, the scores
                that its weights must beat to be kept. A run that confirms has its own name in
                `trial`, and in place of `leaders` the `objective` that its epoch is chosen by.
        """
        return self.order(lambda: self._open(lane, proposal))

    def epoch(self, lane: str) -> "Future[Result]":
        """Return the lane's next result, once there is one."""
        asked: Future[Result] = Future()

        def ask() -> None:
            seat = self._seats.get(lane)
            if seat is None:
                _answer(asked, EngineLost("the engine has begun anew"))
                return
            seat.asked = asked
            self._hand_out(seat)

        self._orders.put(ask)
        return asked

    def close(self, lane: str, *, keep: bool = False) -> "Future[None]":
        """Free the lane.

        Args:
            keep: Save it first, for whoever goes on with the trial.
        """
        return self.order(lambda: self._close(lane, keep=keep))

    def count_lanes(self) -> "Future[int]":
        return self.order(lambda: 0 if self._engine is None else len(self._engine.lanes))

    def pulse(self) -> Result:
        """Return how many `steps` the thread has taken, and where `at` it is now, a traceback.

        Orders are steps too, and in one of them an encoder may be warmed up for longer than an
        engine may hang: so what the engine counts itself is asked for, not how often it was called.
        """
        steps = self._n_orders + (0 if self._engine is None else self._engine.n_steps)
        frame = sys._current_frames().get(self._thread.ident or 0)
        at = "".join(traceback.format_stack(frame)) if frame else None
        return {"steps": steps, "at": at}

    def _run(self) -> None:
        with suppress(Exception):  # the first trial says what is wrong
            self._warm()
        try:
            while True:
                self._take_orders()
                if self._under_way():
                    self._move()
        except Exception as error:  # whatever it is, nobody is to wait for this thread
            self._break(error)

    def _move(self) -> None:
        """Take a step of the engine, and see to what came of it."""
        assert self._engine is not None
        self._engine.step()
        for lane, outcome in self._engine.results():
            self._note(lane, outcome)
        for seat in self._seats.values():
            seat.save_if_overdue(self._engine)

    def _take_orders(self) -> None:
        """Do what was ordered; wait for an order where no lane is under way."""
        if not self._under_way():
            self._orders.get()()
        with suppress(queue.Empty):
            while True:
                self._orders.get_nowait()()
                self._n_orders += 1

    def _under_way(self) -> bool:
        return any(seat.lane is not None and not seat.lane.held for seat in self._seats.values())

    def _warm(self) -> "Engine":
        """Return the engine, built at the first call."""
        if self._engine is None:
            self._engine = self._build()
        return self._engine

    def _calibrate(self, configs: list[dict[str, Any]], seed: int, most: int) -> Result:
        engine = self._warm()
        from mtl_core.training.calibration import calibrate
        from mtl_core.training.config import TrialConfig

        return asdict(calibrate(engine, list(map(TrialConfig.from_dict, configs)), seed, most))

    def _open(self, name: str, proposal: dict[str, Any]) -> None:
        if name not in self._seats:
            self._seats[name] = seat = Seat(self._folder, proposal)
            seat.waits = any(other.waits for other in self._seats.values())
            if not seat.waits:
                self._fill(seat)

    def _fill(self, seat: Seat) -> None:
        """Give the trial a lane, or have it wait for one where there is no room beside others."""
        try:
            engine = self._warm()
            note = seat.open(engine)
        except Exception as error:
            others = self._engine is not None and bool(self._engine.lanes)
            seat.waits = others and type(error).__name__ == "NoRoom"
            if not seat.waits:
                seat.outcome = error
                self._hand_out(seat)
        else:
            seat.waits = False
            self._notes += [note] if note else []
            self._hand_out(seat)

    def _close(self, name: str, *, keep: bool = False) -> None:
        seat = self._seats.pop(name, None)
        if seat is None:
            return
        try:
            if keep and self._engine is not None:
                seat.save(self._engine)
        finally:
            if seat.asked is not None:
                _answer(seat.asked, EngineLost("the lane was closed"))
            self._free(seat)
            if seat.waits:  # the others may have waited for it
                self._fill_waiting()

    def _free(self, seat: Seat) -> None:
        """Let the lane go, and give it to a trial that waits for room."""
        lane, seat.lane = seat.lane, None
        if lane is not None:
            self._let_go(lane)

    def _let_go(self, lane: "Lane") -> None:
        assert self._engine is not None
        self._engine.close(lane)
        self._fill_waiting()

    def _fill_waiting(self) -> None:
        """Give trials that wait for room a lane, in their order, so that large ones come to it."""
        for seat in [seat for seat in self._seats.values() if seat.waits]:
            self._fill(seat)
            if seat.waits:
                return

    def _note(self, lane: "Lane", outcome: "EpochResult | Exception") -> None:
        seat = next((seat for seat in self._seats.values() if seat.lane is lane), None)
        if seat is None:  # its trial is gone, as when something went wrong while it was opened
            self._let_go(lane)
            return
        lane.held, seat.outcome = True, outcome
        self._hand_out(seat)

    def _hand_out(self, seat: Seat) -> None:
        """Answer who waits for the outcome, if there are both, and let the lane go on."""
        if seat.asked is None or seat.outcome is None:
            return
        try:
            result = seat.result(self._engine)
        except Exception as error:  # the disk, say: it is the trial's own
            result = {"failure": describe_failure(error), "done": True}
        result = result | self._news()
        if result["done"]:
            self._free(seat)
        elif seat.lane is not None:
            seat.lane.held = False
        asked, seat.asked = seat.asked, None
        _answer(asked, result)

    def _news(self) -> Result:
        """Return what the engine has noted and nobody was told yet, such as halved lanes."""
        of_engine = self._engine.notes[self._notes_told :] if self._engine is not None else []
        self._notes_told += len(of_engine)
        notes, self._notes = [*self._notes, *of_engine], []
        return {"notes": notes} if notes else {}

    def _break(self, error: Exception) -> None:
        """Tell all trials that the engine is lost; after a fault of CUDA nothing works any more."""
        traceback.print_exception(error, file=sys.stderr)
        reason = f"the engine failed: {describe_failure(error)['reason']}"
        for seat in self._seats.values():
            if seat.asked is not None:
                _answer(seat.asked, EngineLost(reason))
        self._on_broken()


def _answer(future: "Future[Any]", answer: Any) -> None:
    """Resolve `future`, unless who waited for it is gone."""
    with suppress(InvalidStateError):
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
