"""What sharing gains or costs each task: the best that shares, less the best single-task model."""

from collections.abc import Mapping

from search.report.confirmation import compared
from search.report.findings import Findings
from search.report.html.figures import Figure, Trace, View, hundredths, short, ticks
from search.report.statistics import Difference
from search.report.tested import SINGLE_TASK, Tested
from search.report.wording import SHORT, VERDICTS

_LOOKS = {
    1: ("$better", "triangle-right"),
    -1: ("$worse", "triangle-left"),
    0: ("$muted", "circle"),
}


def shared_model(findings: Findings) -> Tested | None:
    """Return what is held against single-task: the best on average, or the best that shares."""
    best = findings.average
    return findings.sharing if best is None or best.structure == SINGLE_TASK else best


def gains(findings: Findings) -> dict[str, Difference]:
    """Return the differences on test by task; of confirmed models with Holm's correction."""
    single, shared = findings.single_task, shared_model(findings)
    if single is None or shared is None or findings.of_one_task:
        return {}
    if findings.confirmation:
        return dict(compared(shared, single, findings.tasks).by_task)
    found = {task: findings.compare(shared, single, [task]).test for task in findings.tasks}
    return {task: one for task, one in found.items() if one is not None}


def gains_figure(findings: Findings) -> Figure | None:
    """Return differences on test by task, with their intervals, the largest on top."""
    shared = shared_model(findings)
    found = dict(sorted(gains(findings).items(), key=lambda item: item[1].mean))
    if shared is None or not found:
        return None
    places = {task: at for at, task in enumerate(found)}
    traces = [_points(found, places, sign) for sign in (1, 0, -1)]
    name = SHORT.get(shared.structure or "", shared.structure)
    title = {"text": f"{name} less single-task, points on test"}
    corrected = ", after Holm's correction over the tasks" if findings.confirmation else ""
    layout = {
        "xaxis": {"title": title, "rangemode": "tozero", "zeroline": True},
        "yaxis": {**ticks(list(places)), "range": [-0.7, len(places) - 0.3]},
    }
    return Figure(
        name="gains",
        title="What sharing gains each task",
        words="Difference on the same test rows with its 95% interval; right of zero sharing "
        f"helps. Triangles point to where a difference is seen{corrected}.",
        views=[View("", [trace for trace in traces if trace["x"]], layout)],
        height=max(240, 130 + 24 * len(places)),
        columns={"x": "difference_points", "y": "task"},
    )


def _points(found: Mapping[str, Difference], places: Mapping[str, int], sign: int) -> Trace:
    mine = {task: one for task, one in found.items() if one.sign == sign}
    colour, symbol = _LOOKS[sign]
    return {
        "type": "scatter", "mode": "markers", "name": VERDICTS[sign],
        "x": hundredths([one.mean for one in mine.values()]),
        "y": [places[task] for task in mine],
        "error_x": {
            "array": hundredths([one.high - one.mean for one in mine.values()]),
            "arrayminus": hundredths([one.mean - one.low for one in mine.values()]),
            "symmetric": False, "thickness": 1.5, "width": 4,
        },
        "marker": {"color": colour, "symbol": symbol, "size": 10},
        "text": [short(task) for task in mine],
        "hovertemplate": "%{text}: %{x:+.1f}<extra></extra>",
    }  # fmt: skip
