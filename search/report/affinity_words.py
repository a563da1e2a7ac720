"""How the tasks relate, in words and tables: what `affinity.json` holds, for `report.md`."""

from collections.abc import Mapping, Sequence
from typing import Any

from search.affinity.file import ATTENTION, COSINE, LOOK_AHEAD
from search.report.wording import code, count, escape, table

_MOST_COLUMNS = 16  # of a table that can still be read
_HEADS = {
    LOOK_AHEAD: "Look-ahead",
    COSINE: "Gradient cosine",
    ATTENTION: "Token attention",
}
_MEANINGS = {
    LOOK_AHEAD: "a short step on the row's task makes the column's task's dev loss fall by so many "
    "millionths of it (below 0: rise)",
    COSINE: "of the gradients of two tasks, times 100, mean over embedding and shared layers",
    ATTENTION: "what the row's task's token gives to the column's task's token, times 100, on the "
    "row's task's dev texts, in one trained model",
}
_ON_GROUPS = (
    "Trees and groups are of the mean of both directions, less what a task has in common with all "
    "others. Groups are held against other rows in the same training: another training may show "
    "others."
)
_SCALES = {LOOK_AHEAD: 1e6, COSINE: 100.0, ATTENTION: 100.0}


def affinity_section(affinity: Mapping[str, Any]) -> str:
    """Return the section; nothing where nothing was measured."""
    if not affinity:
        return ""
    parts = ["## How the tasks relate", _basis(affinity), escape_words(affinity)]
    for route in _HEADS:
        if route in affinity["routes"]:
            parts += _route(affinity, route)
        elif route in affinity.get("absent", {}):
            parts.append(f"{_HEADS[route]}: left out, since {escape(affinity['absent'][route])}.")
    parts += [on_groups(affinity), _agreement(affinity)]
    return "\n\n".join(part for part in parts if part)


def escape_words(affinity: Mapping[str, Any]) -> str:
    """Return what the affinities say of the plans that the search found."""
    return escape(affinity.get("fit", {}).get("words", ""))


def _basis(affinity: Mapping[str, Any]) -> str:
    what = f"{code(affinity['trial'])}, trained again for {count(affinity['epochs'], 'epoch')}"
    if affinity.get("borrowed"):
        what = f"the settings of {what}, with {code(affinity['structure'])}"
    else:
        what += f" ({code(affinity['structure'])})"
    times = count(affinity["steps"], "time")
    return (
        f"Measured {times} in the course of one training in which all tasks share all layers: "
        f"{what}. Steps are on train rows, losses on dev rows; test was not touched."
    )


def _route(affinity: Mapping[str, Any], route: str) -> list[str]:
    tasks, matrix = affinity["tasks"], affinity["routes"][route]["matrix"]
    head = f"**{_HEADS[route]}**: {_MEANINGS[route]}."
    groups = f"{_groups(affinity['groups'][route])}"
    if len(tasks) > _MOST_COLUMNS:
        whole = f"The matrix of {len(tasks)} tasks is in `affinity.json`."
        return [f"{head} {whole}", groups]
    return [head, _matrix(tasks, matrix, _SCALES[route]), groups]


def _matrix(tasks: Sequence[str], matrix: Sequence[Sequence[float]], scale: float) -> str:
    names = [escape(task) for task in tasks]
    rows = [
        [name, *(_number(scale * value) for value in values)]
        for name, values in zip(names, matrix, strict=True)
    ]
    return table(["", *names], rows)


def _number(value: float) -> str:
    text = f"{value:.0f}" if abs(value) >= 10 else f"{value:.1f}"
    return "0.0" if float(text) == 0 else text


def on_groups(affinity: Mapping[str, Any]) -> str:
    """Return what groups are made of and held against; nothing where none can be told."""
    told = (found["margin"] is not None for found in affinity.get("groups", {}).values())
    return _ON_GROUPS if any(told) else ""


def no_groups(found: Mapping[str, Any]) -> str:
    """Return why a route names no groups; nothing where it does."""
    if found["margin"] is None:
        return "not tellable from so few tasks or measurements"
    return "" if found["stands_out"] else "none stands out beyond the noise of the measurements"


def _groups(found: Mapping[str, Any]) -> str:
    if none := no_groups(found):
        return f"Groups: {none}."
    named = "; ".join(", ".join(map(escape, members)) for members in found["groups"])
    return f"Groups: {named}."


def _agreement(affinity: Mapping[str, Any]) -> str:
    said = [
        f"{_HEADS[a].lower()} and {_HEADS[b].lower()} {of['spearman']:+.2f}"
        for of in affinity["agreement"]
        for a, b in [of["routes"]]
        if of["spearman"] is not None
    ]
    if not said:
        return ""
    pairs = count(affinity["agreement"][0]["pairs"], "pair")
    return f"Agreement of the routes (Spearman over {pairs} of tasks): {'; '.join(said)}."
