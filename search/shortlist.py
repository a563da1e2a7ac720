"""Which trials are confirmed, written down once the search has ended; and whether any is left.

What is best of what is decided in `selection.py`; here it becomes the event "shortlisted", those
first on which time should be spent first. More trials make a new list; runs there are still count.
"""

from search.racing import Racing
from search.record import StudyRecord
from search.space import Space
from search.time_shares import confirm_seconds_left, has_time

FIRST = ("average", "single_task", "equal_weights", "worst_task", "weighted")


def make_shortlist(record: StudyRecord) -> None:
    """Write down which trials are to be confirmed, unless that is known of these trials."""
    from search.selection import select  # brings scipy along

    ended = len(record.ended())
    if record.confirmation.n_trials == ended:
        return
    found = sorted(select(record).shortlist(), key=lambda one: min(map(_place, one.roles)))
    subjects = [{"trial": one.trial, "roles": list(one.roles)} for one in found]
    record.append("shortlisted", trials=ended, subjects=subjects)


def is_scored(record: StudyRecord) -> bool:
    """Whether any trial has a score, without which there is nothing to confirm."""
    return any(trial.best for trial in record.trials.values())


def is_left(space: Space, record: StudyRecord) -> bool:
    """Whether there is anything to confirm, and time for it, once the search has ended."""
    search = space.search
    if not search.confirm.seeds:
        return False
    if record.confirmation.n_trials != len(record.ended()):
        return is_scored(record)
    seconds = confirm_seconds_left(search, record)
    wanted = Racing(record, search.confirm, search.seed).wanted()
    return any(has_time(run, record, seconds) for run in wanted)


def _place(role: str) -> int:
    """Return where a role stands; single tasks come last, structures and other arms before them."""
    if role in FIRST:
        return FIRST.index(role)
    return len(FIRST) + role.startswith("task:")
