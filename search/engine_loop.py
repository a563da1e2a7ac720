"""The loop of one engine: lanes are opened, trained an epoch at a time, and closed.

A thread of its own takes the engine's steps (`mtl_core/training/engine.py`), and between two of
them does what was ordered; nobody else touches the engine. It sleeps while no lane is under way.

A lane goes on while its last result is on the way to the driver, but by less than one epoch: it is
held when it has a result that nobody has asked for. So the weights of an epoch are those in the
lane when its result is handed out, and are saved then (`snapshots.py`).

What goes wrong inside a trial is its result, `{"failure": {kind, reason, traceback}}`. What goes
wrong in the engine itself is `EngineLost` for all its trials, which then begin again.
"""

import queue
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.confirm_epoch import ConfirmedEpoch
from search.dev_rows import pack_evaluations
from search.failure import EngineLost, describe_failure
from search.objectives import MEAN
from search.snapshots import SnapshotKeeper, save_weights

if TYPE_CHECKING:  # torch comes with them
    from mtl_core.training.engine import Engine
    from mtl_core.training.lane import Lane
    from mtl_core.training.results import EpochResult

Result = dict[str, Any]


@dataclass(eq=False)
class _Seat:
    """A trial in this engine.

    Args:
        lane: None before there is room, and after the end.
        waits: For room.
        outcome: What the lane came to last, as long as nobody has asked for it.
        asked: Who waits for the next outcome.
    """

    proposal: dict[str, Any]
    lane: "Lane | None" = None
    keeper: SnapshotKeeper | ConfirmedEpoch | None = None
    waits: bool = False
    outcome: "EpochResult | Exception | None" = None
    asked: "Future[Result] | None" = None


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
        self._seats: dict[str, _Seat] = {}
        self._engine: Engine | None = None
        self._notes_told = 0
        threading.Thread(target=self._run, name="engine", daemon=True).start()

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

    def close(self, lane: str) -> "Future[None]":
        return self.order(lambda: self._close(lane))

    def count_lanes(self) -> "Future[int]":
        return self.order(lambda: 0 if self._engine is None else len(self._engine.lanes))

    def _run(self) -> None:
        with suppress(Exception):  # the first trial says what is wrong
            self._warm()
        while True:
            self._take_orders()
            if not self._under_way():
                continue
            assert self._engine is not None
            try:
                self._engine.step()
            except Exception as error:
                self._break(error)
                return
            for lane, outcome in self._engine.results():
                self._note(lane, outcome)

    def _take_orders(self) -> None:
        """Do what was ordered; wait for an order where no lane is under way."""
        if not self._under_way():
            self._orders.get()()
        with suppress(queue.Empty):
            while True:
                self._orders.get_nowait()()

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
            self._seats[name] = _Seat(proposal)
            self._fill(self._seats[name])

    def _fill(self, seat: _Seat) -> None:
        """Give the trial a lane, or have it wait for one where there is no room beside others."""
        try:
            engine = self._warm()
            seat.lane = self._open_lane(engine, seat)
        except Exception as error:
            others = self._engine is not None and bool(self._engine.lanes)
            seat.waits = others and type(error).__name__ == "NoRoom"
            if not seat.waits:
                seat.outcome = error
                self._hand_out(seat)
        else:
            seat.waits = False

    def _open_lane(self, engine: "Engine", seat: _Seat) -> "Lane":
        from mtl_core.training.config import TrialConfig

        proposal = seat.proposal
        config = TrialConfig.from_dict(proposal["config"])
        lane = engine.open(config, proposal["seed"], keep_best=False)
        seat.keeper = self._keeper(proposal, config.sharing.structure)
        return lane

    def _keeper(self, proposal: dict[str, Any], structure: str) -> SnapshotKeeper | ConfirmedEpoch:
        """Return what decides which weights are kept."""
        name = proposal["trial"]
        if "objective" in proposal:
            return ConfirmedEpoch(self._folder, name, proposal["objective"])
        return SnapshotKeeper(
            self._folder,
            name,
            structure=structure,
            leaders=proposal["leaders"],
            maximised=proposal.get("maximised", MEAN),
        )

    def _close(self, name: str) -> None:
        seat = self._seats.pop(name, None)
        if seat is None:
            return
        if seat.asked is not None:
            _answer(seat.asked, EngineLost("the lane was closed"))
        self._free(seat)

    def _free(self, seat: _Seat) -> None:
        """Let the lane go, and give it to a trial that waits for room."""
        if seat.lane is None:
            return
        assert self._engine is not None
        self._engine.close(seat.lane)
        seat.lane = None
        for other in [other for other in self._seats.values() if other.waits]:
            self._fill(other)

    def _note(self, lane: "Lane", outcome: "EpochResult | Exception") -> None:
        seat = next(seat for seat in self._seats.values() if seat.lane is lane)
        lane.held, seat.outcome = True, outcome
        self._hand_out(seat)

    def _hand_out(self, seat: _Seat) -> None:
        """Answer who waits for the outcome, if there are both, and let the lane go on."""
        if seat.asked is None or seat.outcome is None:
            return
        try:
            result = self._as_result(seat, seat.outcome)
        except Exception as error:  # the disk, say: it is the trial's own
            result = {"failure": describe_failure(error), "done": True}
        asked, seat.asked, seat.outcome = seat.asked, None, None
        if result["done"]:
            self._free(seat)
        elif seat.lane is not None:
            seat.lane.held = False
        _answer(asked, result)

    def _as_result(self, seat: _Seat, outcome: "EpochResult | Exception") -> Result:
        if isinstance(outcome, Exception):
            return {"failure": describe_failure(outcome), "done": True, **self._news()}
        assert seat.lane is not None
        assert seat.keeper is not None
        lane = seat.lane
        snapshots = seat.keeper.offer(
            outcome.epoch,
            outcome.average,
            outcome.scores,
            lambda path: save_weights(lane.model, path),
        )
        told = {f.name: getattr(outcome, f.name) for f in fields(outcome)}
        evaluations = told.pop("evaluations")
        result = {
            **told,
            "rows": pack_evaluations(evaluations),
            "snapshots": list(snapshots),
            "done": outcome.ended is not None,
        }
        if result["done"] and isinstance(seat.keeper, ConfirmedEpoch):
            assert self._engine is not None
            result["confirmed"] = seat.keeper.tested(lane.config, self._engine.around)
        return result | self._news()

    def _news(self) -> Result:
        """Return what the engine has noted and nobody was told yet, such as halved lanes."""
        notes = self._engine.notes[self._notes_told :] if self._engine is not None else []
        self._notes_told += len(notes)
        return {"notes": list(notes)} if notes else {}

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
