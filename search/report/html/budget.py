"""What the search spent: trials, epochs, hours of engines, what early stopping saved, failures."""

import math
from dataclasses import dataclass

from search.config import SearchConfig
from search.record import StudyRecord
from search.report.wording import count, duration
from search.trial_record import TrialRecord


@dataclass(frozen=True)
class Fact:
    """A number of the study, with its name and a remark."""

    name: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class FailureOfTrials:
    """Trials that failed for one reason."""

    kind: str
    reason: str
    trials: tuple[str, ...]
    traceback: str | None


def facts(record: StudyRecord, settings: SearchConfig) -> list[Fact]:
    """Return trials, early-stopped share, epochs, time and device-hours."""
    trials = list(record.trials.values())
    ended = [trial for trial in trials if trial.ended]
    stopped = sum(trial.state == "stopped" for trial in trials)
    epochs = sum(len(trial.reports) for trial in trials)
    asked = sum(int(trial.config["training"]["epochs"]) for trial in ended)
    trained = sum(len(trial.reports) for trial in ended)
    share = f"{100 * stopped / len(ended):.0f}% of those that ended" if ended else ""
    saved = f"{100 * (1 - trained / asked):.0f}% fewer than all to their end" if asked else ""
    hours, unit = device_hours(record, settings)
    found = [
        Fact("trials", f"{len(trials):,}", f"of {settings.trials:,} asked for"),
        Fact("stopped early", f"{stopped:,}", share),
        Fact("epochs trained", f"{epochs:,}", saved),
        Fact("time of the search", duration(record.seconds_used)),
        Fact(unit, f"{hours:.2f}" if hours < 10 else f"{hours:,.0f}", "engines at trials and runs"),
    ]
    if record.confirmed:
        fresh = f"confirmation, {duration(record.seconds_confirming)}"
        found.append(Fact("runs with fresh seeds", f"{len(record.confirmed):,}", fresh))
    failed = sum(trial.state == "failed" for trial in trials)
    return found if not failed else [*found, Fact("failed", f"{failed:,}", "see below")]


def device_hours(record: StudyRecord, settings: SearchConfig) -> tuple[float, str]:
    """Return the hours for which devices had something to train, and what they are called.

    An engine is at work while any trial or run of the confirmation is in it; its hours count for
    each GPU, or else each CPU core, that engines were given.
    """
    by_worker: dict[str, list[tuple[float, float]]] = {}
    for run in record.confirmation.runs.values():
        if run.ended_at is not None:
            by_worker.setdefault(run.worker, []).append((run.began_at, run.ended_at))
    for trial in record.trials.values():
        last = trial.reports[-1].time if trial.reports else None
        end = trial.ended_at or last
        if trial.workers and trial.started_at is not None and end is not None:
            by_worker.setdefault(trial.workers[-1], []).append((trial.started_at, end))
    hours = math.fsum(map(_covered, by_worker.values())) / 3600
    if settings.gpus_per_trial:
        return hours * settings.gpus_per_trial, "GPU-hours"
    return hours * settings.cpus_per_trial, "CPU-core-hours"


def failures(record: StudyRecord) -> list[FailureOfTrials]:
    """Return what went wrong, by reason, the most frequent first."""
    found: dict[tuple[str, str], list[TrialRecord]] = {}
    for trial in record.trials.values():
        if trial.failure:
            found.setdefault((trial.failure.kind, trial.failure.reason), []).append(trial)
    return [
        FailureOfTrials(kind, reason, tuple(t.id for t in trials), _traceback(trials))
        for (kind, reason), trials in sorted(found.items(), key=lambda item: -len(item[1]))
    ]


def said(trials: tuple[str, ...], most: int = 12) -> str:
    """Return names of trials, the first of many."""
    more = f" and {count(len(trials) - most, 'more', 'more')}" if len(trials) > most else ""
    return ", ".join(trials[:most]) + more


def _covered(spans: list[tuple[float, float]]) -> float:
    """Return the seconds that spans cover, those that overlap once."""
    total, until = 0.0, -math.inf
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def _traceback(trials: list[TrialRecord]) -> str | None:
    return next((t.failure.traceback for t in trials if t.failure and t.failure.traceback), None)
