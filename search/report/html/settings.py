"""Slice plots, one for each searched key, and parallel coordinates of all of them."""

import math
from collections.abc import Sequence
from typing import Any

from search.report.html.figures import Figure, Looks, Trace, View, hundredths, percent_axis, plain
from search.report.html.trials import ABSENT, MAX_KEYS, Column, decades
from search.report.tested import AVERAGE
from search.report.wording import NOTHING, SHORT, value_in_words
from search.trial_record import TrialRecord

_SPREAD = 0.32  # how far trials of one option stand apart, so that none hides another
_GOLDEN = 0.6180339887498949  # steps of it fill an interval evenly


def slice_figures(
    columns: Sequence[Column], trials: Sequence[TrialRecord], looks: Looks
) -> list[Figure]:
    """Return the score of every trial against each searched key."""
    return [_slice(at, column, trials, looks) for at, column in enumerate(columns[:MAX_KEYS])]


def parallel_figure(columns: Sequence[Column], trials: Sequence[TrialRecord]) -> Figure | None:
    """Return parallel coordinates, the score as the last axis; None for fewer than two trials."""
    if len(trials) < 2 or not columns:
        return None
    scores = hundredths([trial.best[AVERAGE].score for trial in trials])
    known = [score for score in scores if score is not None]
    dimensions = [_dimension(column) for column in columns[:MAX_KEYS]]
    dimensions.append({"label": "dev mean", "values": scores, "tickformat": ".1f"})
    left = 24 + 7 * max(map(len, dimensions[0].get("ticktext", [""])))
    trace = {
        "type": "parcoords", "dimensions": dimensions, "labelangle": -20,
        "labelfont": {"size": 13}, "tickfont": {"size": 12}, "rangefont": {"size": 12},
        "line": {
            "color": scores, "colorscale": "$sequential", "showscale": True,
            "cmin": min(known), "cmax": max(known),
            "colorbar": {"title": {"text": "dev mean"}, "thickness": 12},
        },
        "unselected": {"line": {"color": "$grid", "opacity": 0.25}},
    }  # fmt: skip
    return Figure(
        name="parallel",
        title="All settings at once",
        words="One line for each trial, coloured by its mean dev score. Drag along an axis to keep "
        "the trials that pass there, on as many axes as you like; click an axis to let go. Axes "
        "can be moved sideways.",
        views=[View("", [trace], {"margin": {"t": 90, "l": left, "r": 60, "b": 30}})],
        height=460,
        min_width=120 * len(dimensions),
        table=_table(columns, trials, scores),
    )


def _table(
    columns: Sequence[Column], trials: Sequence[TrialRecord], scores: Sequence[float | None]
) -> list[list[Any]]:
    """Return all trials with the values of their settings, as they were given."""
    heads = ["trial", *(column.key for column in columns), "dev_mean_percent"]
    rows = [
        [trial.id, *(value_in_words(trial.values.get(c.key)) for c in columns), score]
        for trial, score in zip(trials, scores, strict=True)
    ]
    return [heads, *([None if cell == NOTHING else cell for cell in row] for row in rows)]


def _slice(at: int, column: Column, trials: Sequence[TrialRecord], looks: Looks) -> Figure:
    places = column.places
    known = [place for place in places if place is not None]
    traces: list[Trace] = []
    for name in looks.names:
        mine = [
            (place, number, trial)
            for number, (place, trial) in enumerate(zip(places, trials, strict=True))
            if trial.structure == name and place is not None
        ]
        if mine:
            traces.append(_points(mine, name, column, looks))
    axis: dict[str, Any] = {"zeroline": False, "ticklabeloverflow": "allow"}
    if column.labels:
        tick = {"tickmode": "array", "tickvals": list(range(len(column.labels)))}
        axis |= tick | {"ticktext": list(column.labels), "range": [-0.6, len(column.labels) - 0.4]}
    elif column.log:
        marks, texts = decades(min(known), max(known))
        axis |= {"type": "log", "tickmode": "array", "tickvals": marks, "ticktext": texts}
    left_out = len(places) - len(known)
    words = f"{left_out} of {len(trials)} trials do not have it." if left_out else ""
    return Figure(
        name=f"slice-{at}",
        title=column.key,
        words=words,
        views=[
            View("", traces, {"xaxis": axis, "yaxis": percent_axis("dev"), "showlegend": False})
        ],
        height=260,
        columns={"x": column.key, "y": "dev_mean_percent"},
    )


def _points(
    mine: list[tuple[float, int, TrialRecord]], name: str, column: Column, looks: Looks
) -> Trace:
    hollow = [looks.symbol(name) + ("-open" if t.state == "stopped" else "") for _, _, t in mine]
    places = [place for place, _, _ in mine]
    if column.labels:  # apart from each other, the same at each writing
        places = [p + _SPREAD * (2 * ((n * _GOLDEN) % 1) - 1) for p, n, _ in mine]
    return {
        "type": "scatter", "mode": "markers", "name": SHORT.get(name, plain(name)),
        "x": [round(place, 3) if column.labels else place for place in places],
        "y": hundredths([trial.best[AVERAGE].score for _, _, trial in mine]),
        "text": [plain(trial.id) for _, _, trial in mine],
        "hovertemplate": "%{text}: %{y:.1f}<extra></extra>",
        "marker": looks.marker(name, size=7, symbol=hollow, opacity=0.85),
    }  # fmt: skip


def _dimension(column: Column) -> dict[str, Any]:
    """Return an axis; trials without the key stand below its lowest value."""
    known = [place for place in column.places if place is not None]
    values = [None if p is None else math.log10(p) if column.log else p for p in column.places]
    shown = [value for value in values if value is not None]
    low, high = min(shown), max(shown)
    below = low - max(0.15 * (high - low), 0.5 if column.labels else 1e-9)
    if column.labels:
        marks, texts = [float(at) for at in range(len(column.labels))], list(column.labels)
    elif column.log:
        marks, texts = decades(min(known), max(known))
        marks = [math.log10(mark) for mark in marks]
    else:
        marks, texts = _marks(low, high)
    if None in values:
        marks, texts = [below, *marks], [ABSENT, *texts]
    return {
        "label": plain(column.head),
        "values": [round(below if value is None else value, 6) for value in values],
        "tickvals": [round(mark, 6) for mark in marks],
        "ticktext": texts,
    }


def _marks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Return every whole number where they are few, else five places between the ends."""
    if low == round(low) and high == round(high) and high - low <= 8:
        marks = [float(value) for value in range(round(low), round(high) + 1)]
    else:
        marks = [low + (high - low) * at / 4 for at in range(5)]
    return marks, [f"{mark:.3g}" for mark in marks]
