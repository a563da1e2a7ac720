"""Learning curves: those of the best of each structure, and the mean score of every trial."""

from collections.abc import Sequence
from typing import Any

from search.report.by_arm import Arms
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
from search.trial_record import Report, TrialRecord

FEW_EPOCHS = 12


def curves_figure(arms: Arms, tasks: Sequence[str], looks: Looks) -> Figure | None:
    """Return the curves of the arms' models: mean of the tasks, each task, and the train loss."""
    models = [(arm.trial, arm.searched_epoch) for arm in arms.all if arm.trial is not None]
    if not models:
        return None
    axes = {"xaxis": _epochs([trial for trial, _ in models]), "yaxis": percent_axis("dev score")}
    views = [View("mean of the tasks", _curves(models, None, looks), axes)]
    views += [View(task, _curves(models, task, looks), axes) for task in tasks]
    losses = [_loss(trial, looks) for trial, _ in models]
    views.append(View("train loss", losses, {**axes, "yaxis": {"title": {"text": "train loss"}}}))
    return Figure(
        name="curves",
        title="Learning curves of the best of each structure",
        words="Dev score in the search after each epoch; a ring marks the epoch that was chosen.",
        views=views,
        choose="Of",
        columns={"x": "epoch", "y": "value"},
    )


def all_curves_figure(trials: Sequence[TrialRecord], looks: Looks) -> Figure | None:
    """Return the mean dev score of every trial by epoch, one line each."""
    traces: list[Trace] = []
    for name in looks.names:
        mine = [trial for trial in trials if trial.structure == name and trial.reports]
        if mine:
            traces.append(_bundle(mine, name, looks))
    if not traces:
        return None
    return Figure(
        name="all-curves",
        title="Learning curves of all trials",
        words="Mean dev score after each epoch; lines end where a trial was stopped or failed.",
        views=[View("", traces, {"xaxis": _epochs(trials), "yaxis": percent_axis("dev mean")})],
        columns={"x": "epoch", "y": "dev_mean_percent"},
    )


def _epochs(trials: Sequence[TrialRecord]) -> dict[str, Any]:
    """Return the axis of epochs, which are whole numbers."""
    most = max((trial.reports[-1].epoch for trial in trials if trial.reports), default=1)
    axis: dict[str, Any] = {"title": {"text": "epoch"}, "zeroline": False, "tickformat": "d"}
    return axis | ({"dtick": 1} if most <= FEW_EPOCHS else {})


def _bundle(trials: Sequence[TrialRecord], name: str, looks: Looks) -> Trace:
    """Return the curves of all trials of a structure as one trace, with gaps between them."""
    epochs: list[int | None] = []
    scores: list[float | None] = []
    ids: list[str] = []
    for trial in trials:
        epochs += [*(report.epoch for report in trial.reports), None]
        scores += [*(report.average for report in trial.reports), None]
        ids += [plain(trial.id)] * (len(trial.reports) + 1)
    lonely = all(len(trial.reports) == 1 for trial in trials)
    return {
        "type": "scatter", "mode": "markers" if lonely else "lines", "x": epochs,
        "y": hundredths(scores), "name": SHORT.get(name, plain(name)), "text": ids,
        "line": {"color": looks.colour(name), "width": 1.2}, "opacity": 0.7,
        "marker": {"color": looks.colour(name)}, "connectgaps": False,
        "hovertemplate": "%{text}, epoch %{x}: %{y:.1f}<extra></extra>",
    }  # fmt: skip


def _curves(
    models: Sequence[tuple[TrialRecord, int | None]], task: str | None, looks: Looks
) -> list[Trace]:
    traces: list[Trace] = []
    for trial, epoch in models:
        traces.append(_curve(trial, task, looks))
        chosen = [_score(report, task) for report in trial.reports if report.epoch == epoch]
        if chosen:
            traces.append(_ring(epoch, chosen[0], trial.structure))
    return traces


def _curve(trial: TrialRecord, task: str | None, looks: Looks) -> Trace:
    name, label = trial.structure, SHORT.get(trial.structure, plain(trial.structure))
    return {
        "type": "scatter", "mode": "lines+markers", "name": f"{label} ({plain(trial.id)})",
        "legendgroup": name, "x": [report.epoch for report in trial.reports],
        "y": hundredths([_score(report, task) for report in trial.reports]),
        "line": {"color": looks.colour(name), "width": 2}, "marker": looks.marker(name, size=6),
        "hovertemplate": f"{label}, epoch %{{x}}: %{{y:.1f}}<extra></extra>",
    }  # fmt: skip


def _ring(epoch: int | None, score: float, structure: str) -> Trace:
    """Return the mark around the epoch that was chosen."""
    return {
        "type": "scatter", "mode": "markers", "x": [epoch], "y": hundredths([score]),
        "marker": {"symbol": "circle-open", "size": 15, "color": INK, "line": {"width": 2}},
        "showlegend": False, "hoverinfo": "skip", "name": "chosen", "legendgroup": structure,
    }  # fmt: skip


def _loss(trial: TrialRecord, looks: Looks) -> Trace:
    name = trial.structure
    label = SHORT.get(name, plain(name))
    return {
        "type": "scatter", "mode": "lines+markers", "name": f"{label} ({plain(trial.id)})",
        "x": [report.epoch for report in trial.reports],
        "y": [round(r.loss, 4) if r.loss == r.loss else None for r in trial.reports],
        "line": {"color": looks.colour(name), "width": 2}, "marker": looks.marker(name, size=6),
        "hovertemplate": f"{label}, epoch %{{x}}: %{{y:.3f}}<extra></extra>",
    }  # fmt: skip


def _score(report: Report, task: str | None) -> float:
    return report.average if task is None else report.scores.get(task, float("nan"))
