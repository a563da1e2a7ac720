"""What the journal of a study says, while another process may be writing it."""

from pathlib import Path

from search.journal import JOURNAL, Event, read_events  # noqa: TID251


def events(study: Path) -> list[Event]:
    """Return what has happened; nothing where the study has not begun."""
    journal = study / JOURNAL
    return read_events(journal) if journal.is_file() else []


def reports(study: Path) -> list[tuple[str, int, float]]:
    """Return trial, epoch and mean of what was reported, in its order."""
    told = [event for event in events(study) if event["event"] == "reported"]
    return [(event["trial"], event["epoch"], event["average"]) for event in told]
