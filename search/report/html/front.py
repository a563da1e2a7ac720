"""Mean against worst task: which trials nothing beats on both."""

from collections.abc import Sequence

from search.report.findings import AVERAGE
from search.report.html.depth import best_scores
from search.report.html.figures import INK, Figure, Looks, View, hundredths, percent_axis, plain
from search.report.wording import SHORT
from search.trial_record import TrialRecord


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the places of the points that no other beats on both numbers, the first number rising.

    Of equal points the first is kept.
    """
    order = sorted(range(len(points)), key=lambda at: (-points[at][0], -points[at][1], at))
    kept: list[int] = []
    highest = float("-inf")
    for at in order:
        if points[at][1] > highest:
            kept.append(at)
            highest = points[at][1]
    return kept[::-1]


def front_figure(trials: Sequence[TrialRecord], looks: Looks) -> Figure | None:
    """Return the figure of the trials that have a score; None for a study of one task."""
    scores = [best_scores(trial) for trial in trials]
    whole = [(t, s) for t, s in zip(trials, scores, strict=True) if all(v == v for v in s.values())]
    if not whole or len(whole[0][1]) < 2:
        return None
    points = [(trial.best[AVERAGE].score, min(of.values())) for trial, of in whole]
    worst = [min(of, key=lambda task: of[task]) for _, of in whole]
    traces = []
    for name in looks.names:
        mine = [at for at, (trial, _) in enumerate(whole) if trial.structure == name]
        if mine:
            symbols = [
                looks.symbol(name) + ("-open" if whole[at][0].state == "stopped" else "")
                for at in mine
            ]
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": SHORT.get(name, plain(name)),
                    "x": hundredths([points[at][0] for at in mine]),
                    "y": hundredths([points[at][1] for at in mine]),
                    "text": [f"{plain(whole[at][0].id)}, worst: {plain(worst[at])}" for at in mine],
                    "hovertemplate": "%{text}<br>mean %{x:.1f}, worst %{y:.1f}<extra></extra>",
                    "marker": looks.marker(name, size=8, symbol=symbols, opacity=0.8),
                }  # fmt: skip
            )
    best = pareto(points)
    line = {
        "type": "scatter", "mode": "lines+markers", "name": "not beaten on both", "showlegend": False,
        "x": hundredths([points[at][0] for at in best]),
        "y": hundredths([points[at][1] for at in best]),
        "line": {"color": INK, "width": 1.5, "dash": "dash"}, "hoverinfo": "skip",
        "marker": {"symbol": "circle-open", "size": 15, "color": INK, "line": {"width": 1.5}},
    }  # fmt: skip
    layout = {"xaxis": percent_axis("dev, mean of the tasks"), "yaxis": percent_axis("worst task")}
    return Figure(
        name="front",
        title="Mean against worst task",
        words="Each mark is a trial at its best epoch, on dev; stopped ones are hollow. Ringed ones "
        "are beaten on both by none: between them, more of one is less of the other.",
        views=[View("", [line, *traces], layout)],
        height=420,
        columns={"x": "dev_mean_percent", "y": "dev_worst_task_percent"},
    )
