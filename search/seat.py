"""A trial in an engine: its lane, the weights that are kept of it, and what it came to last.

A lane that was saved by another engine (`lane_file.py`) goes on from there, and tells its last
result once more.
"""

from concurrent.futures import Future
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtl_core.errors import ConfigError
from search.confirm_epoch import ConfirmedEpoch
from search.dev_rows import pack_evaluations
from search.failure import describe_failure
from search.lane_file import LaneFile
from search.objectives import MEAN
from search.snapshots import SnapshotKeeper, save_weights

if TYPE_CHECKING:  # torch comes with them
    from mtl_core.training.checkpoint import Checkpoint
    from mtl_core.training.engine import Engine
    from mtl_core.training.lane import Lane
    from mtl_core.training.results import EpochResult

Result = dict[str, Any]


@dataclass(eq=False)
class Seat:
    """A trial in an engine.

    Args:
        folder: The study's folder.
        proposal: What is to be trained, as `EngineLoop.open` has it.
        lane: None before there is room, and after the end.
        waits: For room.
        outcome: What the lane came to last, as long as nobody has asked for it; a `Result` where
            another engine has told it before.
        asked: Who waits for the next outcome.
    """

    folder: Path
    proposal: dict[str, Any]
    lane: "Lane | None" = None
    keeper: SnapshotKeeper | ConfirmedEpoch | None = None
    waits: bool = False
    outcome: "EpochResult | Exception | Result | None" = None
    asked: "Future[Result] | None" = None

    def __post_init__(self) -> None:
        self._file = LaneFile(self.folder, self.proposal["trial"])
        self._last: Result | None = None

    def open(self, engine: "Engine") -> str | None:
        """Begin the trial, or go on with it where it was saved; return what to say of that.

        Raises:
            ConfigError, NoRoom: As `Engine.open`.
        """
        from mtl_core.training.config import TrialConfig

        proposal = self.proposal
        config = TrialConfig.from_dict(proposal["config"])
        self.keeper = self._new_keeper(config.sharing.structure)
        name, note = proposal["trial"], None
        try:
            saved = self._file.read(proposal["config"], proposal["seed"])
            if saved is not None:
                return f"{name} goes on after epoch {self._restore(engine, saved)}"
        except ConfigError as error:
            note = f"{name} begins anew, where it was saved is of no use: {error}"
        self.lane = engine.open(config, proposal["seed"], keep_best=False)
        return note

    def result(self, engine: "Engine | None") -> Result:
        """Return the outcome as the driver is told it, once; keep weights that lead, save the lane.

        Args:
            engine: None where it could not be built, which is the outcome then.

        Raises:
            Exception: Whatever goes wrong with the weights; it is the trial's own failure.
        """
        outcome, self.outcome = self.outcome, None
        assert outcome is not None
        if isinstance(outcome, dict):
            return outcome
        if isinstance(outcome, Exception):
            return {"failure": describe_failure(outcome), "done": True}
        assert engine is not None
        assert self.lane is not None
        assert self.keeper is not None
        lane = self.lane
        snapshots = self.keeper.offer(
            outcome.epoch,
            outcome.average,
            outcome.scores,
            lambda path: save_weights(lane.model, path),
        )
        told = {f.name: getattr(outcome, f.name) for f in fields(outcome)}
        rows = pack_evaluations(told.pop("evaluations"))
        done = outcome.ended is not None
        result = {**told, "rows": rows, "snapshots": list(snapshots), "done": done}
        self._last = dict(result)
        if done and isinstance(self.keeper, ConfirmedEpoch):
            result["confirmed"] = self.keeper.tested(lane.config, engine.around)
        if not done and self._file.is_due:
            self.save(engine)
        return result

    def save_if_overdue(self, engine: "Engine") -> None:
        """Save a lane in the middle of a long epoch."""
        if self._file.is_overdue:
            self.save(engine)

    def save(self, engine: "Engine") -> None:
        """Save the lane as it is now, unless it is not under way or ahead of what was told.

        Where there is no memory for a copy the former file stays, as where the disk is full.
        """
        from mtl_core.training.device_memory import is_memory_error

        if self.lane is None or self.lane.failure is not None or self.lane.ended is not None:
            return
        if self.outcome is not None and self.outcome is not self._last:
            return  # it is ahead of what was told
        assert self.keeper is not None
        try:
            checkpoint = engine.checkpoint(self.lane)
            self._file.write(checkpoint, last=self._last, kept=self.keeper.state())
        except Exception as error:
            if not is_memory_error(error):
                raise
            self._file.put_off()

    def _restore(self, engine: "Engine", saved: "Checkpoint") -> int:
        """Go on where the lane was saved; return the epochs that it has behind it."""
        self.lane = lane = engine.restore(saved, keep_best=False)
        assert self.keeper is not None
        self.keeper.go_on(saved.about["kept"])
        self._last = saved.about["last"]
        if self._last is not None:
            lane.held, self.outcome = True, self._last
        return lane.epoch

    def _new_keeper(self, structure: str) -> SnapshotKeeper | ConfirmedEpoch:
        """Return what decides which weights are kept."""
        proposal, name = self.proposal, self.proposal["trial"]
        if "objective" in proposal:
            return ConfirmedEpoch(self.folder, name, proposal["objective"])
        return SnapshotKeeper(
            self.folder,
            name,
            structure=structure,
            leaders=proposal["leaders"],
            maximised=proposal.get("maximised", MEAN),
        )
