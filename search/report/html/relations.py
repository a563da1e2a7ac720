"""How tasks relate: affinity by up to three routes, their dendrograms, and what tokens attend to.

Everything is taken from `affinity.json`. Rows and columns stand in the order of the route's
dendrogram, so that groups are blocks. Blue helps (or is alike), orange hurts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from search.report.affinity_words import no_groups
from search.report.html.figures import INK, Figure, Trace, View, plain, ticks

MOST_EXAMPLES, MOST_CELLS = 32, 40_000  # texts; their words times tokens, all together
ROUTES = {
    "look_ahead": ("a step on the row's task, fall of the column's loss", "look-ahead"),
    "gradient_cosine": ("cosine of the tasks' gradients at the shared layers", "gradient cosine"),
    "attention": ("attention of the row's token to the column's", "token attention"),
}


def affinity_figures(found: Mapping[str, Any]) -> list[Figure]:
    """Return the matrices and the dendrograms; none where nothing was measured."""
    tasks = found.get("tasks") or []
    routes = {name: of for name, of in (found.get("routes") or {}).items() if of}
    if len(tasks) < 2 or not routes:
        return []
    groups = found.get("groups") or {}
    matrices, trees = [], []
    for name, route in routes.items():
        linkage = (groups.get(name) or {}).get("linkage")
        drawn = _drawn(linkage, tasks)
        order = list(range(len(tasks))) if drawn is None else list(drawn["leaves"])
        matrices.append(
            View(route_name(name), [_matrix(route["matrix"], tasks, order)], _axes(tasks, order))
        )
        for layer, matrix in zip(route.get("layers", ()), route.get("by_layer", ()), strict=False):
            label = f"{route_name(name)}, {layer}"
            matrices.append(View(label, [_matrix(matrix, tasks, order)], _axes(tasks, order)))
        if drawn is not None:
            trees.append(View(route_name(name), _branches(drawn), _tree_axes(tasks, drawn)))
    size = min(230 + 26 * len(tasks), 900)
    figures = [
        Figure(
            name="affinity",
            title="Affinity of the tasks",
            words="; ".join(f"{ROUTES[n][1]}: {ROUTES[n][0]}" for n in routes if n in ROUTES)
            + ". Blue: alike or helpful; orange: opposed or harmful.",
            views=matrices,
            choose="By",
            height=size,
            min_width=min(110 + 7 * min(28, max(map(len, tasks))) + 24 * len(tasks), 1400),
            columns={"x": "to", "y": "from", "z": "affinity"},
        )
    ]
    if trees:
        figures.append(
            Figure(
                name="dendrogram",
                title="Which tasks belong together",
                words="Tasks that join further left are closer.",
                views=trees,
                choose="By",
                height=min(130 + 22 * len(tasks), 1500),
                columns={"x": "distance", "y": "task"},
            )
        )
    return figures


def attention_figure(found: Mapping[str, Any]) -> Figure | None:
    """Return what the task tokens attend to in example texts; None where nothing was measured."""
    examples = _few([one for one in found.get("examples") or () if one.get("weights")])
    if not examples:
        return None
    views = [_example(number, one) for number, one in enumerate(examples, start=1)]
    longest = max(len(one["words"]) for one in examples)
    tokens = max(len(one["tokens"]) for one in examples)
    return Figure(
        name="attention",
        title="What task tokens attend to",
        words="Attention of each task's token (rows) to the words of a text, mean over layers and "
        f"heads{_of_whom(examples[0])}.",
        views=views,
        choose="Text",
        height=min(210 + 24 * tokens, 1200),
        min_width=150 + 30 * longest,
        columns={"x": "word", "y": "token", "z": "attention"},
    )


def route_name(name: str) -> str:
    return ROUTES[name][1] if name in ROUTES else name


def suggested(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the grouping that each route suggests, in words."""
    said = []
    for name, of in (found.get("groups") or {}).items():
        groups = [", ".join(map(str, group)) for group in of.get("groups") or ()]
        if none := no_groups(of):
            said.append((route_name(name), none))
        elif groups:
            said.append((route_name(name), " | ".join(groups)))
    return said


def agreements(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return how far each two routes agree: their rank correlation."""
    return [
        (" and ".join(map(route_name, one["routes"])), f"{one['spearman']:+.2f}")
        for one in found.get("agreement") or ()
        if one.get("spearman") is not None
    ]


def _few(examples: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return as many of the examples as a page has room for, the first of each task first."""
    firsts = {one["task"]: at for at, one in reversed(list(enumerate(examples)))}
    order = sorted(range(len(examples)), key=lambda at: (firsts[examples[at]["task"]] != at, at))
    kept: list[Mapping[str, Any]] = []
    cells = 0
    for at in order[:MOST_EXAMPLES]:
        cells += len(examples[at]["words"]) * len(examples[at]["tokens"])
        if kept and cells > MOST_CELLS:
            break
        kept.append(examples[at])
    return kept


def _matrix(
    matrix: Sequence[Sequence[float | None]], tasks: Sequence[str], order: list[int]
) -> Trace:
    """Return the heat map, the first task on top; of a task to itself it says nothing."""
    rows = [[None if i == j else _rounded(matrix[i][j]) for j in order] for i in order]
    known = [abs(value) for row in rows for value in row if value is not None]
    most = max(known, default=1.0) or 1.0
    lowest = min((value for row in rows for value in row if value is not None), default=0.0)
    signed = lowest < 0
    names = [plain(tasks[at]) for at in order]
    return {
        "type": "heatmap", "z": rows, "colorscale": "$diverging" if signed else "$sequential-low",
        "zmin": -most if signed else 0, "zmax": most, "xgap": 1, "ygap": 1,
        "colorbar": {"thickness": 12, "outlinewidth": 0},
        "customdata": [[[row, column] for column in names] for row in names],
        "hovertemplate": "%{customdata[0]} → %{customdata[1]}: %{z:.3~g}<extra></extra>",
    }  # fmt: skip


def _axes(tasks: Sequence[str], order: list[int]) -> dict[str, Any]:
    labels = [tasks[at] for at in order]
    return {
        "xaxis": {**ticks(labels), "tickangle": -60, "showgrid": False, "side": "bottom"},
        "yaxis": {**ticks(labels), "autorange": "reversed", "showgrid": False},
    }


def _drawn(linkage: Any, tasks: Sequence[str]) -> dict[str, Any] | None:
    """Return scipy's drawing of a linkage; None where there is none that fits the tasks."""
    if not linkage or len(linkage) != len(tasks) - 1:
        return None
    from scipy.cluster.hierarchy import dendrogram  # brings much along

    drawn: dict[str, Any] = dendrogram(linkage, no_plot=True)
    return drawn


def _branches(drawn: Mapping[str, Any]) -> list[Trace]:
    """Return the tree lying on its side, as one line with gaps."""
    x: list[float | None] = []
    y: list[float | None] = []
    for places, heights in zip(drawn["icoord"], drawn["dcoord"], strict=True):
        x += [*(_rounded(height) for height in heights), None]
        y += [*(place / 10 - 0.5 for place in places), None]
    line = {"color": INK, "width": 1.8}
    return [{"type": "scatter", "mode": "lines", "x": x, "y": y, "line": line, "hoverinfo": "skip"}]


def _tree_axes(tasks: Sequence[str], drawn: Mapping[str, Any]) -> dict[str, Any]:
    order = list(drawn["leaves"])
    furthest = max(height for heights in drawn["dcoord"] for height in heights)
    axis = {**ticks([tasks[at] for at in order]), "showgrid": False}
    axis["range"] = [len(order) - 0.5, -0.5]
    return {
        "xaxis": {
            "title": {"text": "distance"},
            "range": [0, 1.04 * furthest or 1],
            "tickformat": "~g",
        },
        "yaxis": axis,
        "showlegend": False,
    }  # fmt: skip


def _of_whom(one: Mapping[str, Any]) -> str:
    """Say which model the examples are of, where the file does."""
    parts = [str(one[key]) for key in ("structure", "trial") if one.get(key)]
    return f", of {plain(' '.join(parts))}" if parts else ""


def _example(number: int, one: Mapping[str, Any]) -> View:
    said = one.get("predicted")
    label = f"{number}: {one['task']}, label {one['label']}" + (f", said {said}" if said else "")
    weights = [[_rounded(weight) for weight in row] for row in one["weights"]]
    trace = {
        "type": "heatmap", "z": weights, "colorscale": "$sequential-low", "zmin": 0,
        "xgap": 1, "ygap": 1, "colorbar": {"thickness": 12, "outlinewidth": 0},
        "customdata": [[[plain(t), plain(w)] for w in one["words"]] for t in one["tokens"]],
        "hovertemplate": "%{customdata[0]} → %{customdata[1]}: %{z:.3~g}<extra></extra>",
    }  # fmt: skip
    words = {**ticks(one["words"], length=16), "tickangle": -60, "showgrid": False}
    tokens = {**ticks(one["tokens"]), "autorange": "reversed", "showgrid": False}
    return View(label, [trace], {"xaxis": words, "yaxis": tokens})


def _rounded(value: float | None) -> float | None:
    """Return four significant digits, since a look-ahead is of millionths."""
    return None if value is None or value != value else float(f"{value:.4g}")
