"""Early stopping by asynchronous successive halving (ASHA; Li et al., 2020), from the journal.

`Asha` decides and knows nothing of Ray; `JournalScheduler` is the trial scheduler that Ray Tune
asks. It is the stopping kind of ASHA: trials are not paused and promoted later, each either passes
a rung when it gets there or ends. Tune would forget the rungs when a search is continued; here they
are rebuilt from the record at every start.

Tune hands a result to the scheduler first, then to the callbacks; a result that says `done` it
hands to `on_trial_complete` alone. So both write "reported", and a callback that sees the end of a
trial finds its last report, and "stopped" if it was stopped here, in the record already.
"""

import math
from collections.abc import Mapping
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from search.config import EarlyStoppingConfig
from search.record import StudyRecord


class Asha:
    """Which trials go on: at each rung, the best 1 / `reduction_factor` of those seen so far.

    Rungs are at the epochs grace, grace * factor, grace * factor^2, ... The first trials pass until
    a rung has seen `reduction_factor` of them. A trial is compared with those that reached the rung
    before it; one that is run again is compared with the same ones, so it is decided the same way.
    """

    def __init__(self, config: EarlyStoppingConfig) -> None:
        self.config = config
        self.rungs: dict[int, dict[str, float]] = {}  # epoch -> trial -> score, in order of arrival

    @classmethod
    def from_record(cls, config: EarlyStoppingConfig, record: StudyRecord) -> "Asha":
        """Return the rungs as they were when the last event was written."""
        asha = cls(config)
        arrivals = [
            (arrival.order, trial.id, epoch, arrival.value)
            for trial in record.trials.values()
            for epoch, arrival in trial.arrivals.items()
        ]
        for _, trial, epoch, value in sorted(arrivals, key=lambda arrival: arrival[0]):
            asha.report(trial, epoch, value)
        return asha

    def is_rung(self, epoch: int) -> bool:
        """Whether trials are compared after this epoch (from 1)."""
        rung = self.config.grace_period_epochs
        while rung < epoch:
            rung *= self.config.reduction_factor
        return rung == epoch

    def report(self, trial: str, epoch: int, value: float) -> bool:
        """Take in the objective's value on dev after an epoch; say whether the trial goes on."""
        if not self.is_rung(epoch):
            return True
        score = -math.inf if math.isnan(value) else value
        rung = self.rungs.setdefault(epoch, {})
        rung[trial] = score  # a trial that is here already keeps its place
        before = list(rung.values())[: list(rung).index(trial)]
        if score == -math.inf:
            return False
        n_seen = len(before) + 1
        if n_seen < self.config.reduction_factor:
            return True
        return sum(other > score for other in before) < n_seen // self.config.reduction_factor


class JournalScheduler(TrialScheduler):
    """The trial scheduler of a study: runs trials in their order and stops them at rungs.

    The points of a space are never stopped: they are the known settings that all else is held
    against, and a baseline that was cut short would flatter whatever beats it.

    Args:
        record: Where reports and stops are written.
        config: None: no trial is stopped early.
    """

    _supports_buffered_results = False  # every epoch is decided upon before the next one begins

    def __init__(self, record: StudyRecord, config: EarlyStoppingConfig | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.record = record
        self.asha = Asha.from_record(config, record) if config else None
        self._new: list[Trial] = []

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:  # noqa: ARG002
        self._new.append(trial)

    def on_trial_result(
        self,
        tune_controller: Any,  # noqa: ARG002
        trial: Trial,
        result: Mapping[str, Any],
    ) -> str:
        name, epoch = trial.config["trial"], result["epoch"]
        goes_on = self._report(name, result)
        if goes_on or self.record.trials[name].source == "point":
            return str(TrialScheduler.CONTINUE)
        self.record.append("stopped", trial=name, epoch=epoch, rung=epoch)
        return str(TrialScheduler.STOP)

    def on_trial_complete(
        self,
        tune_controller: Any,
        trial: Trial,
        result: Mapping[str, Any],
    ) -> None:
        """Write the last report, which Tune has not shown to `on_trial_result`."""
        _forget_ended(tune_controller)
        known = self.record.trials[trial.config["trial"]]
        reported = known.reports[-1] if known.reports else None
        if known.state != "running" or "epoch" not in result:
            return  # stopped here, or ended before its first epoch
        if reported and (reported.attempt, reported.epoch) == (known.attempt, result["epoch"]):
            return  # ended from outside, between two epochs
        self._report(known.id, result)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:  # noqa: ARG002
        """Write nothing: what was reported before stays, and the callbacks write the failure."""
        _forget_ended(tune_controller)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:  # noqa: ARG002
        if trial in self._new:
            self._new.remove(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:  # noqa: ARG002
        """Return the first of the trials that are new since the last call; Tune sees to the others.

        No trial is named twice. By then a client is being started for it, and Tune would give it
        the next one that falls free and throw its own away, which costs a second of CPU; where
        trials are shorter than that no client would ever get ready.
        """
        new = [trial for trial in self._new if trial.status == Trial.PENDING]
        self._new.clear()
        return new[0] if new else None

    def debug_string(self) -> str:
        if self.asha is None:
            return "no early stopping"
        rungs = (f"epoch {epoch}: {len(rung)}" for epoch, rung in sorted(self.asha.rungs.items()))
        return f"ASHA, trials seen at {', '.join(rungs) or 'no rung yet'}"

    def save(self, checkpoint_path: str) -> None:
        """Nothing to do: the journal holds all that is needed."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to do: the rungs are rebuilt from the journal."""

    def _report(self, name: str, result: Mapping[str, Any]) -> bool:
        """Write a report; return whether the trial goes on."""
        keys = ["epoch", "average", "loss", "tokens_per_second", "seconds"]
        keys += ["rows"] if "rows" in result else []
        self.record.append(
            "reported",
            trial=name,
            scores=_nested(result, "scores"),
            losses=_nested(result, "losses"),
            **{key: result[key] for key in keys},
        )
        value = self.record.trials[name].reports[-1].value
        return self.asha is None or self.asha.report(name, result["epoch"], value)


def _forget_ended(tune_controller: Any) -> None:
    """Drop the trials that `callback.py` has taken from Tune's list; each would stay with 40 KB."""
    left = set(tune_controller.get_trials())
    for name in ("_live_trials", "_stopped_trials", "_failed_trials", "_trials_to_cache"):
        held: set[Trial] = getattr(tune_controller, name, set())  # another Tune may have others
        held &= left


def _nested(result: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the mapping that Tune has flattened to `key/<task>`; a task may have a "/"."""
    prefix = f"{key}/"
    flat = {name[len(prefix) :]: result[name] for name in result if name.startswith(prefix)}
    return {**result.get(key, {}), **flat}
