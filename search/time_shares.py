"""How the time of a study is shared out between its search and its confirmation.

`search.minutes` is for both: the search leaves `confirm.share` of it, and what it does not use of
its own part the confirmation has too. `confirm.minutes` limits the confirmation by itself. All of
it counts over all runs of a study.
"""

from search.config import SearchConfig
from search.racing import Wanted
from search.record import StudyRecord


def search_seconds_left(search: SearchConfig, record: StudyRecord) -> float | None:
    """Return what the search may still take; None: as long as it needs."""
    if search.minutes is None:
        return None
    share = 1 - search.confirm.share if search.confirm.seeds else 1.0
    used = record.seconds_used - record.seconds_confirming
    return min(search.minutes * 60 * share - used, search.minutes * 60 - record.seconds_used)


def confirm_seconds_left(search: SearchConfig, record: StudyRecord) -> float | None:
    """Return what the confirmation may still take; None: as long as it needs."""
    limits = []
    if search.minutes is not None:
        limits.append(search.minutes * 60 - record.seconds_used)
    if search.confirm.minutes is not None:
        limits.append(search.confirm.minutes * 60 - record.seconds_confirming)
    return min(limits, default=None)


def has_time(run: Wanted, record: StudyRecord, seconds: float | None) -> bool:
    """Whether a run is likely to end in that time; one that would be cut off is not begun."""
    return seconds is None or expected_seconds(run, record) <= seconds


def expected_seconds(run: Wanted, record: StudyRecord) -> float:
    """Return what a run takes: as its trial's other runs, or as long as the trial's epochs took."""
    done = [other.seconds for other in record.confirmation.of(run.trial) if other.seconds]
    if done:
        return sum(done) / len(done)
    trial = record.trials[run.trial]
    seconds = [report.seconds for report in trial.reports]
    return sum(seconds) / max(1, len(seconds)) * float(trial.config["training"]["epochs"])
