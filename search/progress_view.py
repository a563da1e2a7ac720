"""How a running search looks: one line in words, the leading trials, and a bar.

Pure functions of the record and the width of the terminal. Scores are dev scores in percent, of a
trial's best epoch so far by the mean over the tasks. Task columns are shown as long as they fit;
with more tasks than that, the best and the worst stand for them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.objectives import AVERAGE, TASK
from search.record import StudyRecord
from search.report.wording import SHORT
from search.trial_record import Report, TrialRecord

STRUCTURE, DEPTH, WEIGHTING = "sharing.structure", "sharing.divergence_depth", "weighting.method"
FIXED_WIDTH = 68  # of the columns that are there without a task's; below it structures are short
ECHO = 3  # columns left free at the end, so that an echoed ^C does not break the line
NARROW = 58  # below it depth and weighting are left out
TASK_WIDTH = 9  # of one task's column, with the space beside it
OTHERS_WIDTH = 24
SPREAD_WIDTH = 40  # of the columns for the best and the worst task

_STATES = {"running": "training", "finished": "done", "proposed": "waiting", "failed": "failed"}
_STYLES = {"running": "cyan", "finished": "green", "stopped": "yellow", "failed": "red"}


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What the record does not know.

    Args:
        name: Of the study.
        total: Trials that are to be run in all.
        seconds_left: Estimate; None as long as there is none.
        note: What to say in place of how many trials are in training.
    """

    name: str
    total: int
    seconds_left: float | None = None
    note: str | None = None


def view(record: StudyRecord, moment: Moment, *, width: int, rows: int = 10) -> RenderableType:
    """Return the whole display, at most `width` columns wide, with `rows` trials."""
    parts: list[RenderableType] = [Text(headline(record, moment), style="bold")]
    leading = _leading(record, rows)
    if leading:
        parts.append(_table(leading, record.tasks, width))
    parts.append(_bar(record, moment, width))
    return Group(*parts)


def headline(record: StudyRecord, moment: Moment) -> str:
    """Say in words what is going on and what leads."""
    running = sum(trial.state == "running" for trial in record.trials.values())
    doing = moment.note or f"{running} trial{'' if running == 1 else 's'} in training"
    return f"{moment.name}: {doing}; {best_in_words(record)}"


def best_in_words(record: StudyRecord) -> str:
    """Say which trial leads under the study's objective."""
    leader = record.leaders().get(record.objective.name)
    if leader is None:
        return "no result yet"
    trial = record.trials[leader.trial]
    name = record.objective.name
    of_what = "" if name == AVERAGE else f" ({name.removeprefix(TASK)})"
    return f"best so far {percent(leader.score)}{of_what} with {describe(trial)} ({trial.id})"


def describe(trial: TrialRecord) -> str:
    """Name a trial's structure, depth and weighting, those that the search varies or not."""
    depth = trial.config["sharing"]["divergence_depth"]
    words = [trial.structure, *([] if depth is None else [f"depth {_plain(depth)}"])]
    return ", ".join([*words, f"{trial.config['weighting']['method']} weighting"])


def counts(record: StudyRecord) -> str:
    """Count the ended trials by how they ended, in words."""
    states = [trial.state for trial in record.trials.values()]
    words = [
        f"{states.count('stopped')} stopped early" if "stopped" in states else "",
        f"{states.count('failed')} failed" if "failed" in states else "",
    ]
    return ", ".join(filter(None, words))


def state_in_words(trial: TrialRecord) -> str:
    if trial.state == "stopped":
        return f"stopped at {trial.rung}"
    if trial.state == "failed" and trial.failure is not None:
        return "failed" if trial.failure.kind == "error" else f"failed: {trial.failure.kind}"
    if trial.attempt > 1 and trial.state == "running":
        return f"attempt {trial.attempt}"
    return _STATES[trial.state]


def percent(score: float) -> str:
    return f"{100 * score:.1f}"


def duration(seconds: float) -> str:
    """Return "40 s", "12 min" or "3 h 20 min"."""
    if seconds < 100:
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def best_report(trial: TrialRecord) -> Report | None:
    """Return the best epoch under the study's objective; the last one where none has a value."""
    best = trial.leader
    if best is None:
        return trial.reports[-1] if trial.reports else None
    return next(report for report in trial.reports if report.epoch == best.epoch)


def _leading(record: StudyRecord, rows: int) -> list[TrialRecord]:
    """Return the trials to show, the best first, those in training among them in any case."""
    running = [trial for trial in record.trials.values() if trial.state == "running"][:rows]
    others = [
        trial for trial in record.trials.values() if trial.state != "running" and trial.reports
    ]
    best = sorted(others, key=_best_value, reverse=True)[: max(1, rows - len(running))]
    return sorted([*best, *running], key=_best_value, reverse=True)


def _best_value(trial: TrialRecord) -> float:
    best = trial.leader
    return best.score if best else -1.0


def _table(trials: Sequence[TrialRecord], tasks: Sequence[str], width: int) -> Table:
    others = any(_others(trial.values) for trial in trials)
    left = width - FIXED_WIDTH
    with_tasks = len(tasks) * TASK_WIDTH <= left
    left -= len(tasks) * TASK_WIDTH if with_tasks else 0
    with_spread = not with_tasks and left >= SPREAD_WIDTH
    left -= SPREAD_WIDTH if with_spread else 0
    with_others = others and left >= OTHERS_WIDTH
    table = Table(box=None, padding=(0, 1, 0, 0), width=width, header_style="dim")
    add_first_columns(table, width)
    if with_others:
        table.add_column("other values", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("epoch", no_wrap=True, justify="right")
    table.add_column("mean", no_wrap=True, justify="right", style="bold")
    shown = tasks if with_tasks else (["best", "worst"] if with_spread else [])
    for name in shown:
        table.add_column(_head(name), no_wrap=True, justify="right", overflow="ellipsis")
    table.add_column("state", no_wrap=True)
    for trial in trials:
        row = row_of(trial, width)
        if with_others:
            row.append(_others(trial.values))
        row += _progress_cells(trial)
        if with_tasks:
            row += _task_cells(trial, tasks)
        elif with_spread:
            row += _spread_cells(trial)
        state = Text(state_in_words(trial), style=_STYLES.get(trial.state, ""))
        table.add_row(*map(Text, row), state)  # as Text: names may hold markup
    return table


def add_first_columns(table: Table, width: int) -> None:
    """Add the columns that `row_of` fills."""
    for name in ("trial", "structure", "depth", "weighting")[: 2 if width < NARROW else 4]:
        table.add_column(name, no_wrap=True, justify="right" if name == "depth" else "left")


def row_of(trial: TrialRecord, width: int) -> list[str]:
    """Return a trial's name, structure, depth and weighting, as far as there is room."""
    short = SHORT.get(trial.structure, trial.structure)
    cells = [trial.id, short if width < FIXED_WIDTH else trial.structure]
    if width < NARROW:
        return cells
    depth = trial.config["sharing"]["divergence_depth"]
    return [
        *cells,
        "-" if depth is None else _plain(depth),
        str(trial.config["weighting"]["method"]),
    ]


def _progress_cells(trial: TrialRecord) -> list[str]:
    epoch = trial.reports[-1].epoch if trial.reports else 0
    report = best_report(trial)
    mean = "" if report is None else percent(report.average)
    return [f"{epoch}/{trial.config['training']['epochs']}", mean]


def _head(task: str) -> Text:
    head = Text(task)
    head.truncate(TASK_WIDTH - 1, overflow="ellipsis")
    return head


def _task_cells(trial: TrialRecord, tasks: Sequence[str]) -> list[str]:
    report = best_report(trial)
    return [percent(report.scores[t]) if report and t in report.scores else "" for t in tasks]


def _spread_cells(trial: TrialRecord) -> list[str]:
    report = best_report(trial)
    if report is None or not report.scores:
        return ["", ""]
    best = max(report.scores, key=lambda task: report.scores[task])
    worst = min(report.scores, key=lambda task: report.scores[task])
    return [f"{task[:12]} {percent(report.scores[task])}" for task in (best, worst)]


def _others(values: Mapping[str, Any]) -> str:
    """Return what else the search varies: `learning_rate 0.003, n_layers 4`."""
    shown = (STRUCTURE, DEPTH, WEIGHTING)
    return ", ".join(
        f"{key.rpartition('.')[2]} {_plain(value)}" for key, value in values.items()
        if key not in shown
    )  # fmt: skip


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _bar(record: StudyRecord, moment: Moment, width: int) -> Table:
    done = len(record.ended())
    words = [f"{done}/{moment.total} trials", counts(record) if width >= NARROW else ""]
    if moment.seconds_left is not None:
        words.append(f"about {duration(moment.seconds_left)} left")
    line = Table.grid(padding=(0, 1, 0, 0))
    line.width = width - ECHO
    line.add_column(ratio=1)
    line.add_column(no_wrap=True)
    bar = ProgressBar(total=max(moment.total, 1), completed=done)
    line.add_row(bar, Text(", ".join(filter(None, words))))
    return line
