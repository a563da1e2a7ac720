"""Known-good configurations of a space, tried first.

A point names values of searched keys. A searched key that it leaves out takes the default of the
schema (the published setting) where the space allows that value, and is a fault otherwise. A key
that the space does not search may be named with the value it has.
"""

import json
from collections.abc import Mapping
from typing import Any

from mtl_core.faults import Faults
from mtl_core.yaml_lines import KeyPath
from search.conditional import Active, Conditional
from search.domains import same
from search.schema import show
from search.space_reader import Point


def canonical(values: Mapping[str, Any]) -> str:
    """Return the text that two equal configurations share, for finding duplicates."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def check_points(
    points: list[Point], conditional: Conditional, faults: Faults
) -> dict[int, dict[str, Any]]:
    """Return the values of each point without fault, by its index; note the faults."""
    seen: dict[str, int] = {}
    good = {}
    for i, point in enumerate(points):
        if not point.sound:
            continue
        before = len(faults.found)
        values = _check_point(point, conditional, faults)
        if len(faults.found) > before:
            continue
        first = seen.setdefault(canonical(values), i)
        if first == i:
            good[i] = values
        else:
            faults.add(point.path, f"point {i + 1} is the same configuration as point {first + 1}")
    return good


def _check_point(point: Point, conditional: Conditional, faults: Faults) -> dict[str, Any]:
    missing: list[str] = []

    def pick(active: Active) -> Any:
        key = active.entry.key
        value = point.values.get(key, active.entry.default)
        if not active.domain.contains(value):
            if key in point.values:
                message = f"found {show(value)}, {active.domain} would be right"
                faults.add(_path(point, key), message, key=f"points.{_short(key)}")
            else:
                missing.append(f"{_short(key)} ({active.domain})")
        return value

    values, resolved = conditional.walk(pick)
    if missing:
        faults.add(point.path, f"found no value of {', '.join(missing)}")
    entries = {entry.key: entry for entry in conditional.entries}
    for key, value in point.values.items():
        if key in values or same(value, resolved[key]):
            continue
        if key in entries and entries[key].active(resolved) is None:
            message = f"found {show(value)}, but the key does not apply to this point"
        else:
            message = f"found {show(value)}, but this space has it fixed at {show(resolved[key])}"
        faults.add(_path(point, key), message, key=f"points.{_short(key)}")
    return values


def _short(key: str) -> str:
    return key.rpartition(".")[2]


def _path(point: Point, key: str) -> KeyPath:
    return (*point.path, point.names[key])
