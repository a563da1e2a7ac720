"""Mean against worst task, and what a model costs: the trials that no other beats on everything.

Drawn are the estimates that pool over trials and tasks, and, as another view, the dev scores as
they were seen. The set of `search/pareto.py` takes size and speed in too, and stands as a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.objectives import AVERAGE, WORST_TASK
from search.pareto import Option, undominated
from search.record import StudyRecord
from search.report.html.figures import (
    INK,
    Figure,
    Looks,
    Trace,
    View,
    hundredths,
    percent_axis,
    plain,
)
from search.report.wording import SHORT
from search.selection import Selection
from search.trial_record import TrialRecord

Points = NDArray[np.float64]


@dataclass(frozen=True)
class OptionOfStudy:
    """A trial that no other beats, with its configuration."""

    trial: TrialRecord
    option: Option


def front_figure(record: StudyRecord, found: Selection, looks: Looks) -> Figure | None:
    """Return the figure of the trials that have all scores; None for a study of one task."""
    if len(record.tasks) < 2 or not {AVERAGE, WORST_TASK} <= set(found.winners):
        return None
    mean, worst = found.estimates[AVERAGE], found.estimates[WORST_TASK]
    trials = [record.trials[name] for name in found.trials]
    whole = mean.scored & worst.scored
    axes = {"xaxis": percent_axis("mean of the tasks"), "yaxis": percent_axis("worst task")}
    views = [
        View(label, _view(trials, np.stack([x, y], axis=1), whole, looks), axes)
        for label, x, y in (
            ("estimates", mean.mean, worst.mean),
            ("dev scores as seen", mean.raw, worst.raw),
        )
    ]
    return Figure(
        name="front",
        title="Mean against worst task",
        words="Each mark is a trial at its best epoch; stopped ones are hollow. Ringed ones are "
        "beaten on both by none: between them, more of one is less of the other.",
        views=views,
        choose="Show",
        height=420,
        columns={"x": "dev_mean_percent", "y": "dev_worst_task_percent"},
    )


def options(record: StudyRecord, found: Sequence[Option]) -> list[OptionOfStudy]:
    """Return the set as the page's table has it."""
    return [OptionOfStudy(record.trials[option.trial], option) for option in found]


def _view(
    trials: Sequence[TrialRecord], points: Points, whole: NDArray[np.bool_], looks: Looks
) -> list[Trace]:
    places: list[int] = np.flatnonzero(whole).tolist()
    on_front = undominated(points[places])
    best = sorted(
        (at for at, kept in zip(places, on_front, strict=True) if kept),
        key=lambda at: float(points[at, 0]),
    )
    line: Trace = {
        "type": "scatter", "mode": "lines+markers", "name": "beaten by none", "showlegend": False,
        "x": hundredths(points[best, 0].tolist()), "y": hundredths(points[best, 1].tolist()),
        "line": {"color": INK, "width": 1.5, "dash": "dash"}, "hoverinfo": "skip",
        "marker": {"symbol": "circle-open", "size": 15, "color": INK, "line": {"width": 1.5}},
    }  # fmt: skip
    traces = [line]
    for name in looks.names:
        mine = [at for at in places if trials[at].structure == name]
        if mine:
            traces.append(_marks([trials[at] for at in mine], points[mine], name, looks))
    return traces


def _marks(trials: Sequence[TrialRecord], points: Points, name: str, looks: Looks) -> Trace:
    symbols = [looks.symbol(name) + ("-open" if t.state == "stopped" else "") for t in trials]
    return {
        "type": "scatter", "mode": "markers", "name": SHORT.get(name, plain(name)),
        "x": hundredths(points[:, 0].tolist()), "y": hundredths(points[:, 1].tolist()),
        "text": [plain(trial.id) for trial in trials],
        "hovertemplate": "%{text}: mean %{x:.1f}, worst %{y:.1f}<extra></extra>",
        "marker": looks.marker(name, size=8, symbol=symbols, opacity=0.8),
    }  # fmt: skip
