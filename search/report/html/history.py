"""How the search went, trial by trial: the best dev score of each, and the best so far."""

from collections.abc import Sequence
from itertools import accumulate

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
from search.report.html.trials import scored
from search.report.tested import AVERAGE
from search.report.wording import SHORT
from search.trial_record import TrialRecord


def history_figure(trials: Sequence[TrialRecord], looks: Looks) -> Figure | None:
    """Return the figure; None before the first score."""
    known = scored(trials)
    if not known:
        return None
    marks = [_marks([t for t in known if t.structure == name], name, looks) for name in looks.names]
    layout = {
        "xaxis": {"title": {"text": "trial"}, "zeroline": False, "tickformat": "d"},
        "yaxis": percent_axis("dev, mean of the tasks"),
    }
    return Figure(
        name="history",
        title="Trial by trial",
        words="Best dev mean of each trial in the order they were proposed, and the best so far; "
        "hollow ones were stopped early.",
        views=[View("", [_record(known), *(trace for trace in marks if trace["x"])], layout)],
        columns={"x": "trial_number", "y": "dev_mean_percent"},
    )


def _record(trials: Sequence[TrialRecord]) -> Trace:
    best = accumulate((trial.best[AVERAGE].score for trial in trials), max)
    return {
        "type": "scatter", "mode": "lines", "name": "best so far", "hoverinfo": "skip",
        "x": [trial.number for trial in trials], "y": hundredths(list(best)),
        "line": {"color": INK, "width": 1.5, "shape": "hv"}, "showlegend": False,
    }  # fmt: skip


def _marks(trials: Sequence[TrialRecord], name: str, looks: Looks) -> Trace:
    symbols = [looks.symbol(name) + ("-open" if t.state == "stopped" else "") for t in trials]
    return {
        "type": "scatter", "mode": "markers", "name": SHORT.get(name, plain(name)),
        "x": [trial.number for trial in trials],
        "y": hundredths([trial.best[AVERAGE].score for trial in trials]),
        "text": [plain(trial.id) for trial in trials],
        "hovertemplate": "%{text}: %{y:.1f}<extra></extra>",
        "marker": looks.marker(name, size=8, symbol=symbols),
    }  # fmt: skip
