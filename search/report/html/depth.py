"""Score against divergence depth, one line for each structure, with intervals.

Each point on a line is the best trial of a structure at a depth, by the estimate that pools over
trials and tasks (`search/selection.py`), with its 95 % interval. Behind it stands every other
trial. A depth per task is drawn at its mean.
"""

from statistics import fmean
from typing import Any

from search.objectives import AVERAGE
from search.report.findings import Findings
from search.report.html.figures import Figure, Looks, Trace, View, hundredths, percent_axis, plain
from search.report.tested import SINGLE_TASK
from search.report.wording import SHORT, depth_value
from search.selection import Selection
from search.trial_record import TrialRecord

_Point = tuple[float, TrialRecord]


def depth_figure(findings: Findings, found: Selection, looks: Looks) -> Figure | None:
    """Return the figure; None where no trial that shares has a score."""
    points = _points(findings, found)
    if not points:
        return None
    depths = sorted({depth for of_structure in points.values() for depth, _ in of_structure})
    traces: list[Trace] = []
    for at, name in enumerate(looks.names):
        if name in points:
            shift = 0.06 * (at - (len(looks.names) - 1) / 2)
            traces += _lines(points[name], name, found, looks, shift)
    traces += _single(findings, found, looks, (depths[0] - 0.35, depths[-1] + 0.35))
    layout = {
        "xaxis": {
            "title": {"text": "layers that all tasks compute alike"},
            "tickmode": "array", "tickvals": sorted({round(d) for d in depths}), "zeroline": False,
            "range": [depths[0] - 0.35, depths[-1] + 0.35],
        },
        "yaxis": percent_axis("dev, mean of the tasks"),
    }  # fmt: skip
    return Figure(
        name="depth",
        title="Score against divergence depth",
        words="Large marks: the best trial at each depth, by estimates that pool over trials and "
        "tasks, since the best of many looks better on dev than it is; bars are their 95% "
        "intervals. Faint marks: all other trials; stopped ones are hollow.",
        views=[View("", traces, layout)],
        height=420,
        columns={"x": "divergence_depth", "y": "dev_mean_percent"},
    )


def _points(findings: Findings, found: Selection) -> dict[str, list[_Point]]:
    points: dict[str, list[_Point]] = {}
    if AVERAGE not in found.estimates:
        return points
    for name in found.trials:
        trial = findings.record.trials[name]
        depth = depth_value(trial)
        if depth is not None and AVERAGE in trial.best:
            place = fmean(depth) if isinstance(depth, list) else float(depth)
            points.setdefault(trial.structure, []).append((round(place, 2), trial))
    return points


def _lines(
    points: list[_Point], name: str, found: Selection, looks: Looks, shift: float
) -> list[Trace]:
    """Return the line through the best of each depth, and the other trials behind it."""
    estimates = found.estimates[AVERAGE]
    best: dict[float, TrialRecord] = {}
    for depth, trial in points:
        if depth not in best or estimates[trial.id].mean > estimates[best[depth].id].mean:
            best[depth] = trial
    rest = [(depth, trial) for depth, trial in points if best[depth] is not trial]
    hollow = [looks.symbol(name) + ("-open" if t.state == "stopped" else "") for _, t in rest]
    faint = {
        "type": "scatter", "mode": "markers", "name": SHORT.get(name, plain(name)),
        "legendgroup": name, "showlegend": False, "opacity": 0.45,
        "x": [round(depth + shift, 2) for depth, _ in rest],
        "customdata": [depth for depth, _ in rest],
        "y": hundredths([estimates[trial.id].mean for _, trial in rest]),
        "text": [_hover(trial, found) for _, trial in rest],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": looks.marker(name, size=6, symbol=hollow),
    }  # fmt: skip
    order = sorted(best)
    of_best = [estimates[best[depth].id] for depth in order]
    line: dict[str, Any] = {
        "type": "scatter", "mode": "lines+markers", "name": SHORT.get(name, plain(name)),
        "legendgroup": name, "x": [round(depth + shift, 2) for depth in order],
        "customdata": order,
        "y": hundredths([one.mean for one in of_best]),
        "error_y": {
            "array": hundredths([one.interval()[1] - one.mean for one in of_best]),
            "thickness": 1.2, "width": 3,
        },
        "text": [_hover(best[depth], found) for depth in order],
        "hovertemplate": "%{text}<extra></extra>",
        "line": {"color": looks.colour(name), "width": 2},
        "marker": looks.marker(name, size=10),
    }  # fmt: skip
    return [faint, line] if rest else [line]


def _single(
    findings: Findings, found: Selection, looks: Looks, ends: tuple[float, float]
) -> list[Trace]:
    """Return the best single-task trial as a line across: it has no depth."""
    estimates, trials = found.estimates[AVERAGE], findings.record.trials
    means = [estimates[t].mean for t in found.trials if trials[t].structure == SINGLE_TASK]
    if not means:
        return []
    line: Trace = {
        "type": "scatter", "mode": "lines", "name": SHORT[SINGLE_TASK],
        "x": list(ends), "y": hundredths([max(means)] * 2),
        "line": {"color": looks.colour(SINGLE_TASK), "width": 2, "dash": "dot"},
        "hovertemplate": "single_task, the best: %{y:.1f}<extra></extra>",
    }  # fmt: skip
    return [line]


def _hover(trial: TrialRecord, found: Selection) -> str:
    one = found.estimates[AVERAGE][trial.id]
    state = ", stopped early" if trial.state == "stopped" else ""
    said = f"{100 * one.mean:.1f} (seen: {100 * one.raw:.1f})"
    return f"{plain(trial.id)}, epoch {found.epochs[trial.id]}: {said}{state}"
