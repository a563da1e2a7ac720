"""What `affinity.json` says of the routes: matrices, trees and groups, and how far routes agree.

Plain JSON values from what was measured; shapes: M measurements, K tasks, L layers.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from mtl_core.affinity.groups import Grouping, group, of_layers, pairs
from mtl_core.affinity.measure import Measured
from search.affinity.file import ATTENTION, COSINE, LOOK_AHEAD

_DIGITS = 6  # significant ones
Matrices = Mapping[str, NDArray[np.float64]]


def contents(
    tasks: Sequence[str], measured: Measured, attention: NDArray[np.float64] | None
) -> dict[str, Any]:
    """Return routes, agreement and groups.

    Args:
        attention: Of parts of the dev texts, (M, K, K); None where no model can tell.
    """
    by_route = {LOOK_AHEAD: measured.look_ahead, COSINE: measured.cosines.mean(1)}
    if attention is not None:
        by_route[ATTENTION] = attention
    routes: dict[str, dict[str, Any]] = {
        route: {"matrix": rounded(found.mean(0)), "standard_error": rounded(_error(found))}
        for route, found in by_route.items()
    }
    routes[COSINE]["layers"] = list(measured.layers)
    routes[COSINE]["by_layer"] = rounded(measured.cosines.mean(0))
    to_group = by_route | {COSINE: np.array([of_layers(one) for one in measured.cosines])}
    groups = {route: _as_json(group(found), tasks) for route, found in to_group.items()}
    return {"routes": routes, "agreement": agreement(by_route), "groups": groups}


def agreement(by_route: Matrices) -> list[dict[str, Any]]:
    """Return Spearman's correlation over the pairs of tasks, of each two routes."""
    found = {route: pairs(matrices.mean(0)) for route, matrices in by_route.items()}
    return [
        {"routes": [a, b], "spearman": _spearman(found[a], found[b]), "pairs": len(found[a])}
        for a, b in combinations(found, 2)
    ]


def rounded(values: NDArray[np.float64]) -> Any:
    """Return nested lists of the numbers, with as many digits as are worth keeping."""
    if values.ndim:
        return [rounded(part) for part in values]
    return float(f"{float(values):.{_DIGITS}g}")


def _error(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard error of the mean of the measurements; 0 of a single one."""
    if len(found) < 2:
        return np.zeros(found.shape[1:])
    return found.std(axis=0, ddof=1) / np.sqrt(len(found))


def _spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    if len(first) < 3 or not (np.ptp(first) and np.ptp(second)):
        return None
    return float(f"{spearmanr(first, second).statistic:.4f}")


def _as_json(grouping: Grouping, tasks: Sequence[str]) -> dict[str, Any]:
    return {
        "linkage": rounded(grouping.linkage),
        "groups": [[tasks[task] for task in members] for members in grouping.groups],
        "stands_out": grouping.stands_out,
        "margin": None if grouping.margin is None else float(f"{grouping.margin:.4g}"),
        "standard_error": (
            None if grouping.standard_error is None else float(f"{grouping.standard_error:.4g}")
        ),
    }
