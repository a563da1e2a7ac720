"""What Tune says happens to its trials, written into the record and shown.

The trial scheduler writes "reported" and "stopped" (`scheduler.py`); here follow "started",
"retried", "finished" and "failed". Tune tells the scheduler first and the callbacks last, so at the
end of a trial the record holds its last report.

A trial that lost its client or its engine gets a place in another one, or in the same when it is
back, before Tune starts it again.

Tune keeps every ended trial for the life of the driver, some 40 KB each. They are taken from its
list here, from its sets by `scheduler.py`: all that counts is in the record by then.
"""

# ruff: noqa: ARG002 - Tune calls all these methods with the same arguments

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback

from search.config import FailuresConfig
from search.engine_pool import EnginePool
from search.failure import GONE, Loss, loss_of
from search.gauges import Gauges
from search.lane_file import prune_lanes
from search.progress import Progress
from search.record import StudyRecord
from search.snapshots import prune
from search.stop import StopSwitch

_ENDED = (Trial.TERMINATED, Trial.ERROR)


class JournalCallback(TrialProgressCallback):
    """Writes how trials begin and end, and keeps the display and the disk in step.

    It takes the place of Tune's own display, which remembers every trial even where it shows none.

    Args:
        record: The study's record.
        folder: The study's folder, where the snapshots are.
        stop: Says whether the search is being given up; then nothing is written any more, so that
            trials in training stay unfinished.
        engines: Where the trials train, if that is in engines.
        measured: Called with what `EnginePool.tick` returns.
        failures: How many trials may fail before the search is given up.
        retries: How often a trial goes on whose client or engine was lost.
    """

    def __init__(
        self,
        record: StudyRecord,
        folder: Path,
        *,
        progress: Progress,
        stop: StopSwitch,
        engines: EnginePool | None = None,
        measured: Callable[[dict[str, Any]], None] | None = None,
        failures: FailuresConfig | None = None,
        retries: int = 3,
    ) -> None:
        self._record, self._folder, self._progress, self._stop = record, folder, progress, stop
        self._engines, self._measured = engines, measured
        self._attempts: dict[str, int] = {}
        self._failures, self._retries = failures or FailuresConfig(), retries
        self._gauges = None if engines is None else Gauges(record, engines)
        self._ended: list[Trial] = []
        self._n_ended = self._n_failed = 0  # of this run: who continues a study has mended it

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        if self._ended:
            going_on = [trial for trial in trials if trial.status not in _ENDED]
            kept = [] if going_on else self._ended[-1:]  # one is what Tune looks at in its end
            self._ended, trials[:] = kept, going_on or kept
        self._stop.remember(trials)
        if self._engines is not None:
            self._ask(self._engines)
        if self._gauges is not None:
            self._gauges.tick()
        self._progress.tick()

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self._stop.kill_remembered()

    def on_trial_start(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        **info: Any,
    ) -> None:
        name = trial.config["trial"]
        attempt = self._attempts.get(name, trial.config["attempt"] - 1) + 1
        self._attempts[name] = attempt
        self._write("started", trial=name, attempt=attempt, worker=_worker(trial))

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        for note in result.get("notes", ()):
            self._note(f"{_worker(trial)}: {note}")
        if "failure" in result and not self._stop.reason:
            self._write("failed", trial=trial.config["trial"], **result["failure"])
        else:
            self._progress.changed()

    def on_trial_complete(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        **info: Any,
    ) -> None:
        known = self._record.trials[trial.config["trial"]]
        if known.state == "running" and known.reports:
            reason = trial.last_result.get("ended") or "epochs"
            epochs = known.reports[-1].epoch
            self._write("finished", trial=known.id, epochs=epochs, reason=reason)
        self._end(trial)

    def on_trial_recover(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        **info: Any,
    ) -> None:
        name = trial.config["trial"]
        attempt = self._attempts.get(name, trial.config["attempt"] - 1) + 1
        loss = loss_of(_error_of(trial))
        if self._engines is not None:
            loss = self._move(trial, loss, self._engines)
        self._write("retried", trial=name, attempt=attempt, kind=loss.kind, reason=loss.reason)

    def on_trial_error(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        **info: Any,
    ) -> None:
        loss, known = loss_of(_error_of(trial)), self._record.trials[trial.config["trial"]]
        if self._engines is not None:
            self._look_after_engine(trial, loss, self._engines)
        if known.state == "proposed" and len(known.retries) < self._retries:
            # Tune has heard twice of one lost client, and takes a trial that waits to begin again
            # for one that has failed (2.60). It is left unfinished; `tune_calls.py` runs it again.
            self._ended.append(trial)
            return
        self._write("failed", trial=known.id, **loss.as_failure())
        self._end(trial)

    def get_state(self) -> None:
        """Nothing for Tune to keep: the journal holds it."""

    def _ask(self, engines: EnginePool) -> None:
        """Look at the engines; hand on what they have measured."""
        found = engines.tick()
        if found is not None and self._measured is not None:
            self._measured(found)

    def _move(self, trial: Trial, loss: Loss, engines: EnginePool) -> Loss:
        """Give the trial another place; return what was lost, now that the engine is known."""
        self._look_after_engine(trial, loss, engines)
        began = GONE not in loss.reason
        if began and engines.hung(trial.config["engine"]):  # it may be the trial's doing
            trial.config["hung"] = trial.config.get("hung", 0) + 1
            loss = replace(loss, kind="hang")
        name, hung = trial.config["trial"], loss.kind == "hang"
        place = engines.move(name, self._record.trials[name].config, suspect=hung)
        trial.config.update(asdict(place))
        return loss

    def _look_after_engine(self, trial: Trial, loss: Loss, engines: EnginePool) -> None:
        if loss.kind == "hang":
            engines.restart(trial.config["engine"])
        elif loss.of_engine:
            engines.lost(trial.config["engine"])

    def _note(self, text: str) -> None:
        self._write("noted", text=text)
        self._progress.say(text)

    def _write(self, event: str, **fields: Any) -> None:
        if not self._stop.reason:
            self._record.append(event, **fields)
            self._progress.changed()

    def _end(self, trial: Trial) -> None:
        self._attempts.pop(trial.config["trial"], None)
        self._ended.append(trial)
        self._count(trial.config["trial"])
        prune(self._folder, self._record)
        prune_lanes(self._folder, self._record)
        self._progress.trial_ended(trial.config["trial"])

    def _count(self, trial: str) -> None:
        """Give the search up where too many of the trials that ended in this run have failed."""
        known = self._record.trials[trial]
        self._n_ended += known.ended
        self._n_failed += known.state == "failed"
        limit = self._failures
        if self._n_ended >= limit.least and self._n_failed > limit.share * self._n_ended:
            self._stop.give_up()


def _worker(trial: Trial) -> str:
    """Name the engine that trains the trial, or the process; the same name is the same one."""
    if "engine" in trial.config:
        return str(trial.config["engine"])
    actor = trial.temporary_state.ray_actor
    return "?" if actor is None else str(actor._actor_id.hex())[:8]


def _error_of(trial: Trial) -> str:
    """Return the text of a trial's last error, which Tune has written but may not have moved yet.

    `Trial.get_error` looks where it is moved to, in its own time (Ray 2.60).
    """
    path = trial.error_file
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace") if path else ""
    except OSError:
        return ""
    return text.rpartition("Failure # ")[2].partition("\n")[2]
