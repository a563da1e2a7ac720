"""Accuracy against divergence depth, one line for each structure, with intervals.

Each point is the best trial of a structure at a depth, on dev; its interval is that of dev rows
(binomial, tasks counted alike), drawn where accuracy is the metric of all tasks. Behind it stands
every other trial. A depth per task is drawn at its mean.
"""

import math
from collections.abc import Mapping
from statistics import NormalDist, fmean
from typing import Any

from search.report.findings import AVERAGE, SINGLE_TASK, Findings
from search.report.html.figures import Figure, Looks, Trace, View, hundredths, percent_axis, plain
from search.report.statistics import CONFIDENCE
from search.report.wording import SHORT, depth_value
from search.trial_record import TrialRecord

_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
_Point = tuple[float, TrialRecord]


def depth_figure(findings: Findings, looks: Looks, rows: Mapping[str, int]) -> Figure | None:
    """Return the figure; None where no trial that shares has a score.

    Args:
        rows: Dev rows of each task; empty where they are not known, or scores are no accuracy.
    """
    points = _points(findings)
    if not points:
        return None
    depths = sorted({depth for of_structure in points.values() for depth, _ in of_structure})
    traces: list[Trace] = []
    for at, name in enumerate(looks.names):
        if name in points:
            shift = 0.06 * (at - (len(looks.names) - 1) / 2)
            traces += _lines(points[name], name, looks, rows, shift)
    single = findings.record.leaders().get(f"structure:{SINGLE_TASK}")
    if single is not None:
        traces.append(_level(single.score, depths, looks))
    layout = {
        "xaxis": {
            "title": {"text": "layers that all tasks compute alike"},
            "tickmode": "array", "tickvals": sorted({round(d) for d in depths}), "zeroline": False,
            "range": [depths[0] - 0.35, depths[-1] + 0.35],
        },
        "yaxis": percent_axis("dev, mean of the tasks"),
    }  # fmt: skip
    bars = " Bars are 95% intervals of the dev rows." if rows else ""
    return Figure(
        name="depth",
        title="Score against divergence depth",
        words="Large marks: the best trial at each depth; faint marks: all others, stopped ones "
        f"hollow.{bars} The best of many trials looks better on dev than it is.",
        views=[View("", traces, layout)],
        height=420,
        columns={"x": "divergence_depth", "y": "dev_mean_percent"},
    )


def interval_width(scores: Mapping[str, float], rows: Mapping[str, int]) -> float | None:
    """Return half the 95% interval of the mean over tasks of accuracies on so many rows."""
    if not rows or any(task not in rows or not 0 <= s <= 1 for task, s in scores.items()):
        return None
    variance = math.fsum(s * (1 - s) / max(rows[task], 1) for task, s in scores.items())
    return _Z * math.sqrt(variance) / len(scores)


def best_scores(trial: TrialRecord) -> Mapping[str, float]:
    """Return the task scores of a trial at the epoch of its best average."""
    epoch = trial.best[AVERAGE].epoch
    return next(report.scores for report in trial.reports if report.epoch == epoch)


def _points(findings: Findings) -> dict[str, list[_Point]]:
    found: dict[str, list[_Point]] = {}
    for trial in findings.record.trials.values():
        depth = depth_value(trial)
        if AVERAGE in trial.best and depth is not None:
            place = fmean(depth) if isinstance(depth, list) else float(depth)
            found.setdefault(trial.structure, []).append((round(place, 2), trial))
    return found


def _lines(
    points: list[_Point], name: str, looks: Looks, rows: Mapping[str, int], shift: float
) -> list[Trace]:
    """Return the line through the best of each depth, and the other trials behind it."""
    best: dict[float, TrialRecord] = {}
    for depth, trial in points:
        if depth not in best or trial.best[AVERAGE].score > best[depth].best[AVERAGE].score:
            best[depth] = trial
    rest = [(depth, trial) for depth, trial in points if best[depth] is not trial]
    hollow = [looks.symbol(name) + ("-open" if t.state == "stopped" else "") for _, t in rest]
    faint = {
        "type": "scatter", "mode": "markers", "name": SHORT.get(name, plain(name)),
        "legendgroup": name, "showlegend": False, "opacity": 0.45,
        "x": [round(depth + shift, 2) for depth, _ in rest],
        "customdata": [depth for depth, _ in rest],
        "y": hundredths([trial.best[AVERAGE].score for _, trial in rest]),
        "text": [_hover(trial) for _, trial in rest], "hovertemplate": "%{text}<extra></extra>",
        "marker": looks.marker(name, size=6, symbol=hollow),
    }  # fmt: skip
    order = sorted(best)
    widths = [interval_width(best_scores(best[depth]), rows) for depth in order]
    line: dict[str, Any] = {
        "type": "scatter", "mode": "lines+markers", "name": SHORT.get(name, plain(name)),
        "legendgroup": name, "x": [round(depth + shift, 2) for depth in order],
        "customdata": order,
        "y": hundredths([best[depth].best[AVERAGE].score for depth in order]),
        "text": [_hover(best[depth]) for depth in order],
        "hovertemplate": "%{text}<extra></extra>",
        "line": {"color": looks.colour(name), "width": 2},
        "marker": looks.marker(name, size=10),
    }  # fmt: skip
    if None not in widths:
        line["error_y"] = {"array": hundredths(widths), "thickness": 1.2, "width": 3}
    return [faint, line] if rest else [line]


def _level(score: float, depths: list[float], looks: Looks) -> Trace:
    """Return single-task training as a line across: it has no depth."""
    return {
        "type": "scatter", "mode": "lines", "name": SHORT[SINGLE_TASK],
        "x": [depths[0] - 0.35, depths[-1] + 0.35], "y": hundredths([score, score]),
        "line": {"color": looks.colour(SINGLE_TASK), "width": 2, "dash": "dot"},
        "hovertemplate": "single_task, the best: %{y:.1f}<extra></extra>",
    }  # fmt: skip


def _hover(trial: TrialRecord) -> str:
    best = trial.best[AVERAGE]
    state = ", stopped early" if trial.state == "stopped" else ""
    return f"{plain(trial.id)}, epoch {best.epoch}: {100 * best.score:.1f}{state}"
