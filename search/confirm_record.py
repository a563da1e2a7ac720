"""What is known of the confirmation: the shortlist, and its trainings with fresh seeds.

A run is one training of a shortlisted trial's configuration, from scratch, with a seed of its own.
Its events are apart from those of trials, so the search learns nothing from it:

    shortlisted    which trials are confirmed, and what each is the best of (its roles)
    confirming     a run begins, or begins again after its engine or the driver was lost
    confirmed      it is done: the epoch best on dev, and its rows on dev and test
    unconfirmed    it failed, which is its result: it is not run again

So whoever reads "confirmed" knows that test was scored there, once, for that epoch alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from search.journal import Event
from search.trial_record import Failure, Retry

EVENTS = ("shortlisted", "confirming", "confirmed", "unconfirmed")
RunState = Literal["running", "confirmed", "failed"]


@dataclass(slots=True)
class RunRecord:
    """One training of a shortlisted trial with a fresh seed.

    Attributes:
        id: Such as "t0004c1": the trial and the number.
        trial: The trial whose configuration it is.
        number: Of the trial's runs, from 1.
        attempt: How often it was begun.
        epoch: The one with the best mean over the tasks on dev, which was tested; 0 before.
        epochs: How many it trained.
        seconds: From its beginning to its end, evaluation included.
        began_at, ended_at: Unix seconds, of the latest attempt; `ended_at` is None while it runs.
        found: The "confirmed" event: `dev` and `dev_rows` by task, `dev_correct` (packed dev rows)
            and, as of a "tested" event, `scores`, `correct`, `metrics` and `seen`.
        failure: Why there is nothing.
        retries: Why it was begun again.
    """

    id: str
    trial: str
    number: int
    seed: int
    attempt: int = 1
    state: RunState = "running"
    worker: str = ""
    epoch: int = 0
    epochs: int = 0
    seconds: float = 0.0
    began_at: float = 0.0
    ended_at: float | None = None
    found: Event | None = None
    failure: Failure | None = None
    retries: list[Retry] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return self.state != "running"

    @property
    def dev(self) -> dict[str, float]:
        """Dev score by task at its epoch; a score that could not be computed counts as 0."""
        assert self.found is not None
        return {task: score or 0.0 for task, score in self.found["dev"].items()}

    @property
    def dev_average(self) -> float:
        return sum(self.dev.values()) / len(self.dev)


@dataclass
class ConfirmRecord:
    """The confirmation of one study, replayed from its events.

    Attributes:
        shortlist: Roles of each shortlisted trial, the most important first; names as in
            `selection.py`: "average", "worst_task", "task:<name>", "equal_weights",
            "single_task", "structure:<name>".
        n_trials: How many trials had ended when the list was made; None before the first.
        runs: By id, in the order in which they began.
        ended: How it ended: "done", or "minutes" or "interrupted" with runs left; None before.
    """

    shortlist: dict[str, tuple[str, ...]] = field(default_factory=dict)
    n_trials: int | None = None
    runs: dict[str, RunRecord] = field(default_factory=dict)
    ended: str | None = None

    def confirmed(self) -> list[RunRecord]:
        return [run for run in self.runs.values() if run.state == "confirmed"]

    def of(self, trial: str) -> list[RunRecord]:
        """Return the runs of a trial, in the order of their numbers."""
        mine = (run for run in self.runs.values() if run.trial == trial)
        return sorted(mine, key=lambda run: run.number)

    def fault(self, event: Mapping[str, Any]) -> str | None:
        """Say why `event` cannot come next, or None."""
        kind = event["event"]
        if kind == "shortlisted":
            return None
        run = self.runs.get(event["run"])
        if kind == "confirming":
            return f"{run.id} begins although it is {run.state}" if run and run.ended else None
        if run is None:
            return f"{event['run']} is {kind} but has not begun"
        return f"{run.id} is {kind} although it is {run.state}" if run.ended else None

    def apply(self, event: Event) -> None:
        """Take in an event of the confirmation."""
        match event["event"]:
            case "shortlisted":
                self.n_trials = event["trials"]
                self.shortlist = {
                    subject["trial"]: tuple(subject["roles"]) for subject in event["subjects"]
                }
            case "confirming":
                self._begin(event)
            case "confirmed":
                run = self.runs[event["run"]]
                run.state, run.found = "confirmed", event
                run.epoch, run.epochs = event["epoch"], event["epochs"]
                run.seconds, run.ended_at = event["seconds"], event["time"]
            case "unconfirmed":
                run = self.runs[event["run"]]
                run.state, run.ended_at = "failed", event["time"]
                run.failure = Failure(event["kind"], event["reason"], event["traceback"])

    def _begin(self, event: Event) -> None:
        keys = ("trial", "number", "seed", "attempt", "worker")
        known = {key: event[key] for key in keys}
        run = RunRecord(id=event["run"], began_at=event["time"], **known)
        if run.id in self.runs:
            run.retries = self.runs[run.id].retries
        if "lost" in event:
            run.retries.append(Retry(**event["lost"]))
        self.runs[run.id] = run
