"""How a confirmation under way looks: one line in words, the shortlist with its runs, and a bar.

Pure functions of the record, like `progress_view.py`. Scores are dev scores in percent, the mean
over a trial's runs so far; test is not shown before all of them have ended.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.confirm_record import RunRecord
from search.progress_view import ECHO, NARROW, add_first_columns, duration, percent, row_of
from search.record import StudyRecord

if TYPE_CHECKING:
    from search.confirm import Confirming


def confirm_view(
    record: StudyRecord,
    shown: "Confirming",
    *,
    name: str,
    width: int,
    rows: int = 10,
    seconds_left: float | None = None,
    note: str | None = None,
) -> RenderableType:
    """Return the whole display, at most `width` columns wide, with `rows` trials."""
    text = Text(f"{name}: {headline(record, shown, note)}", style="bold")
    return Group(text, _table(record, shown, width, rows), _bar(record, shown, width, seconds_left))


def headline(record: StudyRecord, shown: "Confirming", note: str | None = None) -> str:
    """Say in words what is going on and what leads."""
    n = len(shown.in_training)
    doing = note or f"confirming with fresh seeds, {n} run{'' if n == 1 else 's'} in training"
    return f"{doing}; {best_in_words(record)}"


def best_in_words(record: StudyRecord) -> str:
    """Say whose runs are best on dev so far."""
    means = {trial: mean for trial in _trials(record) if (mean := _mean(record, trial)) is not None}
    if not means:
        return "no run has ended yet"
    best = max(means, key=means.__getitem__)
    runs = len(_done(record, best))
    return f"best so far {percent(means[best])} on dev, {best} ({_runs(runs)})"


def run_in_words(record: StudyRecord, run: str) -> str:
    """Say how a run ended."""
    known = record.confirmation.runs[run]
    if known.failure is not None:
        return f"{run} failed: {known.failure.reason}"
    return f"{run} done: {percent(known.dev_average)} on dev at epoch {known.epoch}"


def counts(record: StudyRecord, shown: "Confirming") -> tuple[int, int]:
    """Return how many runs have ended, and of how many at least."""
    mine = set(record.confirmation.shortlist)
    ended = sum(run.ended and run.trial in mine for run in record.confirmation.runs.values())
    return ended, max(shown.least, ended + len(shown.in_training))


def _trials(record: StudyRecord) -> list[str]:
    return list(record.confirmation.shortlist)


def _done(record: StudyRecord, trial: str) -> list[RunRecord]:
    return [run for run in record.confirmation.of(trial) if run.state == "confirmed"]


def _mean(record: StudyRecord, trial: str) -> float | None:
    done = _done(record, trial)
    return sum(run.dev_average for run in done) / len(done) if done else None


def _runs(n: int) -> str:
    return f"{n} run{'' if n == 1 else 's'}"


def _table(record: StudyRecord, shown: "Confirming", width: int, rows: int) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), width=width, header_style="dim")
    add_first_columns(table, width)
    for name in ("runs", "mean"):
        table.add_column(name, no_wrap=True, justify="right")
    if width >= NARROW:
        table.add_column("best for", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("state", no_wrap=True)
    for trial in _trials(record)[:rows]:
        mean = _mean(record, trial)
        cells = row_of(record.trials[trial], width)
        cells += [str(len(_done(record, trial))), "" if mean is None else percent(mean)]
        if width >= NARROW:
            cells.append(_roles(record.confirmation.shortlist[trial]))
        table.add_row(*map(Text, cells), _state(trial, shown))
    return table


def _roles(roles: Sequence[str]) -> str:
    words = [
        role.removeprefix("task:")
        if role.startswith("task:")
        else role.removeprefix("structure:").removeprefix("arm:").replace("_", " ")
        for role in roles
    ]
    return ", ".join(dict.fromkeys(words))


def _state(trial: str, shown: "Confirming") -> Text:
    mine = [one for one in shown.in_training.values() if one.run.trial == trial]
    epochs = ", ".join(str(one.epoch) for one in mine)
    return Text(f"epoch {epochs}" if mine else "", style="cyan")


def _bar(record: StudyRecord, shown: "Confirming", width: int, seconds_left: float | None) -> Table:
    done, total = counts(record, shown)
    failed = sum(run.state == "failed" for run in record.confirmation.runs.values())
    words = [f"{done}/{total} runs", f"{failed} failed" if failed else ""]
    words.append(f"about {duration(seconds_left)} left" if seconds_left is not None else "")
    text = ", ".join(filter(None, words))
    line = Table.grid(padding=(0, 1))
    line.add_row(
        ProgressBar(total, done, width=max(10, min(40, width - len(text) - 2 - ECHO))), text
    )
    return line
