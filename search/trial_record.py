"""What is known of one trial: its configuration, its reports, its state.

A trial goes proposed -> running -> finished, stopped or failed; `retried` brings it back to
proposed. An unfinished trial is run again by the next start of the program: same trial, same seed,
next attempt. It reports its epochs again, and a report of epoch e replaces all earlier ones from e
on, so that replaying is idempotent; `arrivals` keeps what the rungs saw, and in which order.
The study that holds the trials is in `record.py`. Scores are dev scores; NaN is a score that could
not be computed (null in the journal).
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from search.journal import Event
from search.kept_configs import KeptConfig
from search.objectives import AVERAGE, TASK, Objective, objective_of
from search.per_task import PerTask, number

State = Literal["proposed", "running", "finished", "stopped", "failed"]

# The states a trial may be in when an event of it arrives, and the state after. A trial whose
# process died with the driver is still "running" in the journal when it is started again, and a
# worker can be lost before its trial has started.
STEPS: dict[str, tuple[tuple[State, ...], State]] = {
    "started": (("proposed", "running"), "running"),
    "reported": (("running",), "running"),
    "retried": (("proposed", "running"), "proposed"),
    "finished": (("running",), "finished"),
    "stopped": (("running",), "stopped"),
    "failed": (("proposed", "running"), "failed"),
}


@dataclass(frozen=True, slots=True)
class Report:
    """One epoch of one trial: dev scores by task, mean losses, speed.

    Args:
        average: Mean of the scores; `value` is that of the study's objective.
        rows: The dev rows behind the scores (`dev_rows.py`); None where they were not kept.
    """

    epoch: int
    average: float
    value: float
    scores: PerTask
    loss: float
    losses: PerTask
    tokens_per_second: float
    seconds: float
    time: float
    attempt: int
    rows: str | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """When, among all events of the study, an epoch was first reported, and its latest value."""

    order: int
    value: float


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trial ended without a result; kind is error, diverged, hang, lost or memory."""

    kind: str
    reason: str
    traceback: str | None


@dataclass(frozen=True, slots=True)
class Retry:
    """Why a trial was started again; kind is worker, node or memory (`failure.py`)."""

    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Leader:
    """The best epoch so far under one objective."""

    trial: str
    epoch: int
    score: float


@dataclass(slots=True)
class TrialRecord:
    """One proposed configuration and what became of it.

    Attributes:
        values: The searched, active keys alone; `config` is the whole `TrialConfig.as_dict()`, made
            of what is `kept` of it.
        objective: What the study maximises.
        attempt: The latest attempt that has started; 0 before the first.
        arrivals: Every epoch ever reported, also by attempts whose reports were replaced.
        reason: Why a finished trial ended: "epochs" or "patience".
        rung: For a stopped trial, the epoch of the rung at which it was.
    """

    id: str
    number: int
    values: dict[str, Any]
    kept: KeptConfig
    seed: int
    source: str
    proposed_at: float
    objective: Objective = field(default_factory=lambda: objective_of("mean", ()))
    state: State = "proposed"
    attempt: int = 0
    reports: list[Report] = field(default_factory=list)
    arrivals: dict[int, Arrival] = field(default_factory=dict)
    workers: tuple[str, ...] = ()
    retries: tuple[Retry, ...] = ()
    started_at: float | None = None
    ended_at: float | None = None
    reason: str | None = None
    rung: int | None = None
    failure: Failure | None = None
    _best: dict[str, Leader] | None = None
    _leader: Leader | None = None

    @property
    def config(self) -> dict[str, Any]:
        """The whole configuration, to be read only."""
        return self.kept.whole()

    @property
    def structure(self) -> str:
        """The name of the way its tasks share."""
        return str(self.config["sharing"]["structure"])

    @property
    def ended(self) -> bool:
        return self.state in ("finished", "stopped", "failed")

    @property
    def leader(self) -> Leader | None:
        """The best epoch under the study's objective; the earliest of equal ones."""
        if self._leader is None:
            valued = [report for report in self.reports if not math.isnan(report.value)]
            if valued:
                best = max(valued, key=lambda report: report.value)
                self._leader = Leader(self.id, best.epoch, best.value)
        return self._leader

    @property
    def best(self) -> dict[str, Leader]:
        """The best epoch for each objective it has a score for; the earliest of equal ones."""
        if self._best is None:
            self._best = {}
            for report in self.reports:
                for objective, score in self._objectives(report):
                    leader = self._best.get(objective)
                    if leader is None or score > leader.score:
                        self._best[objective] = Leader(self.id, report.epoch, score)
        return self._best

    def apply(self, event: Event, order: int) -> None:
        """Take in an event of this trial, the `order`-th event of the study."""
        self.state = STEPS[event["event"]][1]
        match event["event"]:
            case "started":
                self.attempt = event["attempt"]
                self.started_at = event["time"]
                self.workers += (event["worker"],)
            case "reported":
                self._apply_report(event, order)
            case "retried":
                self.retries += (Retry(event.get("kind", "worker"), event["reason"]),)
            case "finished":
                self.reason = event["reason"]
            case "stopped":
                self.rung = event["rung"]
            case "failed":
                self.failure = Failure(event["kind"], event["reason"], event["traceback"])
        if self.ended:
            self.ended_at = event["time"]

    def forget_best(self) -> None:
        """Have `best` be worked out anew where it is asked for again: it takes 1 KB for 8 tasks."""
        self._best = None

    def _apply_report(self, event: Event, order: int) -> None:
        scores = PerTask(event["scores"])
        average = number(event["average"])
        report = Report(
            epoch=event["epoch"],
            average=average,
            value=self.objective.of_epoch(average, scores),
            scores=scores,
            loss=number(event["loss"]),
            losses=PerTask(event["losses"]),
            tokens_per_second=number(event["tokens_per_second"]),
            seconds=number(event["seconds"]),
            time=event["time"],
            attempt=self.attempt,
            rows=event.get("rows"),
        )
        self.reports = [old for old in self.reports if old.epoch < report.epoch] + [report]
        first = self.arrivals.get(report.epoch)
        self.arrivals[report.epoch] = Arrival(first.order if first else order, report.value)
        self._best = self._leader = None

    def _objectives(self, report: Report) -> Iterator[tuple[str, float]]:
        if not math.isnan(report.average):
            yield AVERAGE, report.average
        if not math.isnan(report.value):
            yield f"structure:{self.structure}", report.value
            if self.objective.name != AVERAGE and not self.objective.name.startswith(TASK):
                yield self.objective.name, report.value
        for task, score in report.scores.items():
            if not math.isnan(score):
                yield sys.intern(TASK + task), score
