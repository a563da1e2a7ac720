"""What sharing gains or costs each task: the best that shares, less the best single-task model."""

from collections.abc import Sequence

from search.report.findings import SINGLE_TASK, Comparison, Findings, Tested
from search.report.html.figures import INK, Figure, Trace, View, hundredths, short, ticks
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


def gains_figure(findings: Findings) -> Figure | None:
    """Return differences on test by task, with their intervals, the largest on top."""
    single, shared = findings.single_task, shared_model(findings)
    if single is None or shared is None:
        return None
    found = [(task, findings.compare(shared, single, [task])) for task in findings.tasks]
    known = sorted(
        ((t, c) for t, c in found if c.test is not None), key=lambda pair: _mean(pair[1])
    )
    if not known:
        return None
    places = {task: at for at, (task, _) in enumerate(known)}
    traces = [_points(known, places, sign) for sign in (1, 0, -1)]
    name = SHORT.get(shared.structure or "", shared.structure)
    layout = {
        "xaxis": {
            "title": {"text": f"{name} less single-task, points on test"},
            "rangemode": "tozero",
            "zeroline": True,
        },
        "yaxis": {**ticks([short(task) for task in places]), "range": [-0.7, len(places) - 0.3]},
    }
    layout["yaxis"]["ticktext"] = [short(task) for task in places]
    return Figure(
        name="gains",
        title="What sharing gains each task",
        words="Difference on the same test rows with its 95% interval; right of zero sharing "
        "helps. Marks are filled by colour and shape only where the interval leaves zero out.",
        views=[View("", [trace for trace in traces if trace["x"]], layout)],
        height=max(240, 130 + 24 * len(places)),
        columns={"x": "difference_points", "y": "task"},
    )


def _points(known: Sequence[tuple[str, Comparison]], places: dict[str, int], sign: int) -> Trace:
    mine = [(task, c.test) for task, c in known if c.test is not None and c.test.sign == sign]
    colour, symbol = _LOOKS[sign]
    ends = [(d.mean, d.low, d.high) for _, d in mine]
    return {
        "type": "scatter", "mode": "markers", "name": VERDICTS[sign],
        "x": hundredths([mean for mean, _, _ in ends]), "y": [places[task] for task, _ in mine],
        "error_x": {
            "array": hundredths([high - mean for mean, _, high in ends]),
            "arrayminus": hundredths([mean - low for mean, low, _ in ends]),
            "symmetric": False, "thickness": 1.5, "width": 4,
        },
        "marker": {"color": colour, "symbol": symbol, "size": 10, "line": {"color": INK, "width": 0}},
        "text": [short(task) for task, _ in mine],
        "hovertemplate": "%{text}: %{x:+.1f}<extra></extra>",
    }  # fmt: skip


def _mean(comparison: Comparison) -> float:
    return comparison.test.mean if comparison.test else 0.0
