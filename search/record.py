"""What is known of a study: its events, replayed into trials, reports and leaders.

`StudyRecord.append` writes an event to the journal and applies it, so what is in memory is always
what a later start will find. Every event has one writer:

    study continued ended tested baseline    the run itself (`place.py`, `tuner.py`, `finish.py`)
    searched                                 the trials are over, what follows is the confirmation
    calibrated noted                         how many lanes pay; what an engine says (`tuner.py`)
    proposed                                 the searcher: a new configuration (`searcher.py`)
    started retried finished failed          the callback that watches Tune (`callback.py`)
    reported stopped                         the trial scheduler (`scheduler.py`)
    shortlisted confirming confirmed unconfirmed    the confirmation (`confirm.py`)

The trials themselves, and the states they go through, are in `trial_record.py`; the runs that
confirm some of them in `confirm_record.py`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mtl_core.errors import ConfigError
from search import confirm_record
from search.confirm_record import ConfirmRecord, RunRecord
from search.journal import Event, Journal, read_events
from search.kept_configs import KeptConfigs
from search.objectives import MEAN, Objective, objective_of
from search.time_used import TimeUsed
from search.trial_record import STEPS, Leader, TrialRecord

FORMAT = 2
READABLE = (1, FORMAT)  # 1 has lines without checksums
CUT_OFF = ("interrupted", "failures")  # reasons to end, after which nothing that takes long follows
_RUN_EVENTS = (
    "study", "continued", "searched", "ended", "tested", "baseline", "calibrated", "noted",
)  # fmt: skip


class StudyRecord:
    """All that the journal of one study says.

    Args:
        journal: Where events go; None for a record that is only read.
        events: What has happened so far.

    Attributes:
        header: The "study" event: name, space_digest, data_fingerprint, encoding, files,
            seed, tasks.
        objective: What the study maximises; as a leader it has the objective's name.
        trials: By trial id, in the order of their numbers.
        ended_reason: Why the search ended; None while it runs or was cut off.
        lanes: Lanes of an engine that were found to pay; None as long as nobody has measured it.
        notes: What engines and the driver had to say.
        tested: The "tested" events by model; `baselines`: the "baseline" events by name.
        confirmation: The shortlist and its trainings with fresh seeds.
    """

    def __init__(self, journal: Journal | None = None, events: Iterable[Event] = ()) -> None:
        self.journal = journal
        self.header: Event = {}
        self.objective: Objective = objective_of(MEAN, ())
        self.trials: dict[str, TrialRecord] = {}
        self.ended_reason: str | None = None
        self.lanes: int | None = None
        self.tested: dict[str, Event] = {}
        self.baselines: dict[str, Event] = {}
        self.notes: list[str] = []
        self.confirmation = ConfirmRecord()
        self._configs = KeptConfigs()
        self._unfinished: dict[str, TrialRecord] = {}
        self._leaders_of_ended: dict[str, Leader] = {}  # what has ended stays as it is
        self._time_used = TimeUsed()
        self._n_events = 0
        for event in events:
            self._replay(event)

    @classmethod
    def open(cls, path: Path) -> "StudyRecord":
        """Open a study for writing; raises `ConfigError` when its journal is damaged or in use."""
        journal = Journal(path)
        try:
            return cls(journal, journal.read())
        except ConfigError as error:
            journal.close()
            raise _at(path, error) from error

    @classmethod
    def load(cls, path: Path) -> "StudyRecord":
        """Read a study that another process may be writing."""
        try:
            return cls(None, read_events(path))
        except ConfigError as error:
            raise _at(path, error) from error

    def append(self, event: str, **fields: Any) -> None:
        """Write one event and apply it; what the journal cannot say later is not said now."""
        assert self.journal is not None, "this record was opened for reading"
        fault = self._fault({"event": event, **fields})
        assert fault is None, fault
        self._apply(self.journal.append({"event": event, **fields}))

    @property
    def dropped_lines(self) -> int:
        """Half-written last lines of the journal that were cut off when it was opened."""
        return 0 if self.journal is None else self.journal.dropped_lines

    @property
    def failure(self) -> ConfigError | None:
        """Why the journal could not be written (a full disk), if so."""
        return None if self.journal is None else self.journal.failure

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.header.get("tasks", ()))

    @property
    def seconds_used(self) -> float:
        """Seconds of search and confirmation in all runs so far, up to their last event."""
        return self._time_used.seconds

    @property
    def seconds_confirming(self) -> float:
        """Those of them that went into the confirmation."""
        return self._time_used.seconds_confirming

    @property
    def confirmed(self) -> list[RunRecord]:
        """The trainings with fresh seeds that were tested."""
        return self.confirmation.confirmed()

    def unfinished(self) -> list[TrialRecord]:
        """Proposed or running: what a continued study runs first."""
        return list(self._unfinished.values())

    def ended(self) -> list[TrialRecord]:
        """No longer to be run: finished, stopped early or failed."""
        return [trial for trial in self.trials.values() if trial.ended]

    def all_failed(self) -> bool:
        """Whether trials have ended and all of these have failed."""
        ended = self.ended()
        return bool(ended) and all(trial.failure is not None for trial in ended)

    def finished(self) -> list[TrialRecord]:
        """Trained to their own end: neither stopped early nor failed."""
        return [trial for trial in self.trials.values() if trial.state == "finished"]

    def leaders(self) -> dict[str, Leader]:
        """The best epoch of "average", each "task:<name>" and each "structure:<name>".

        Of a structure the best is that of the study's objective, which is a leader by its own name
        where it is neither the mean nor a task.
        Of equal scores the earliest trial leads, and of one trial the earliest epoch.
        """
        leaders = dict(self._leaders_of_ended)
        for trial in self._unfinished.values():
            self._let_lead(trial, leaders)
        return leaders

    def leaders_of_ended(self) -> dict[str, Leader]:
        """The leaders among the trials that have ended."""
        return dict(self._leaders_of_ended)

    def close(self) -> None:
        if self.journal is not None:
            self.journal.close()

    def _replay(self, event: Event) -> None:
        line = self._n_events + 1  # every event is one line
        try:
            fault = self._fault(event)
            if fault is None:
                self._apply(event)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            fault = f"the event {event['event']!r} is not whole: {error!r}"
        if fault is not None:
            raise ConfigError(f"line {line} of the journal: {fault}")

    def _fault(self, event: Mapping[str, Any]) -> str | None:
        """Say why `event` cannot come next, or None."""
        kind = event["event"]
        if kind == "study":
            if self._n_events:
                return "the study begins a second time"
            found = event.get("format")
            readable = " and ".join(map(str, READABLE))
            return None if found in READABLE else f"format {found!r}, this program reads {readable}"
        if not self._n_events:
            return f"the first event is {kind!r}, a journal begins with 'study'"
        if kind in _RUN_EVENTS:
            return None
        if kind in confirm_record.EVENTS:
            return self.confirmation.fault(event) or self._unknown_trial(event)
        if kind == "proposed":
            known = event["trial"] in self.trials or event["number"] != len(self.trials) + 1
            return f"{event['trial']} is proposed out of turn" if known else None
        if kind not in STEPS:
            return f"unknown event {kind!r}"
        trial = self.trials.get(event["trial"])
        if trial is None:
            return f"{event['trial']} is {kind} but was never proposed"
        allowed = trial.state in STEPS[kind][0]
        return None if allowed else f"{trial.id} is {kind} although it is {trial.state}"

    def _unknown_trial(self, event: Mapping[str, Any]) -> str | None:
        """Say which trial of an event of the confirmation was never proposed, or None."""
        subjects = event.get("subjects", [event] if "trial" in event else [])
        unknown = [one["trial"] for one in subjects if one["trial"] not in self.trials]
        return f"{unknown[0]} is {event['event']} but was never proposed" if unknown else None

    def _apply(self, event: Event) -> None:
        self._n_events += 1
        if event["event"] == "proposed":
            trial = TrialRecord(
                id=event["trial"],
                proposed_at=event["time"],
                objective=self.objective,
                kept=self._configs.keep(event["config"]),
                **{key: event[key] for key in ("number", "values", "seed", "source")},
            )
            self.trials[trial.id] = self._unfinished[trial.id] = trial
        elif event["event"] in _RUN_EVENTS:
            self._apply_to_run(event)
        elif event["event"] in confirm_record.EVENTS:
            self.confirmation.apply(event)
        else:
            self._apply_to_trial(self.trials[event["trial"]], event)
        self._time_used.apply(event)

    def _apply_to_trial(self, trial: TrialRecord, event: Event) -> None:
        trial.apply(event, self._n_events)
        if trial.ended:
            self._let_lead(trial, self._leaders_of_ended)
            trial.forget_best()
            del self._unfinished[trial.id]

    def _let_lead(self, trial: TrialRecord, leaders: dict[str, Leader]) -> None:
        """Put the trial where it leads; of equal scores that of the earlier trial."""
        for objective, best in trial.best.items():
            former = leaders.get(objective)
            if former is None or (best.score, -trial.number) > (
                former.score,
                -self.trials[former.trial].number,
            ):
                leaders[objective] = best

    def _apply_to_run(self, event: Event) -> None:
        match event["event"]:
            case "study":
                self.header = event
                self.objective = objective_of(event.get("objective", MEAN), self.tasks)
            case "continued":
                self.ended_reason = None
            case "ended":
                self.ended_reason = event["reason"]
                self.confirmation.ended = event.get("confirmation")
            case "noted":
                self.notes.append(event["text"])
            case "calibrated":
                self.lanes = event["lanes"]
            case "tested":
                self.tested[event["model"]] = event
            case "baseline":
                self.baselines[event["name"]] = event


def _at(path: Path, error: ConfigError) -> ConfigError:
    """Put the file before faults that know only the line."""
    return ConfigError(
        fault if str(path) in fault else f"{path}: {fault}" for fault in error.faults
    )
