"""The posterior of two standard deviations, as a few weighted pairs that cover it.

A grid from 0 up, laid closer around what is likely until it covers little else (as in Rue, Martino
& Chopin, 2009, for such parameters).
"""

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
WIDEST = 0.5  # the largest deviation looked at
SMALLEST = 0.002  # the smallest above 0 in the first grid
STEPS = 7  # values along each of the two
GRIDS = 3  # after the first, at most
FORGOTTEN = 6.0  # how far below its peak a log density may be and still count
KEPT = 1e-3  # the smallest weight of a pair


def posterior_of_deviations(
    log_density: Callable[[float, float], float],
) -> list[tuple[float, float, float]]:
    """Return (weight, first, second), the weights of sum 1."""
    axes = [np.concatenate([[0.0], np.geomspace(SMALLEST, WIDEST, STEPS - 1)])] * 2
    density = _at(axes, log_density)
    for _ in range(GRIDS):
        alive = density > density.max() - FORGOTTEN
        ends = [_extent(axis, alive.any(1 - at)) for at, axis in enumerate(axes)]
        closer = [np.linspace(low, high, STEPS) for low, high in ends]
        if all(np.allclose(new, old) for new, old in zip(closer, axes, strict=True)):
            break
        axes, density = closer, _at(closer, log_density)
    weights = np.exp(density - density.max())
    for edge in (0, -1):  # half as much lies there
        weights[edge] /= 2
        weights[:, edge] /= 2
    weights = np.where(weights > KEPT * weights.sum(), weights, 0.0)
    weights /= weights.sum()
    pairs = zip(weights.ravel(), product(*axes), strict=True)
    return [(float(weight), float(a), float(b)) for weight, (a, b) in pairs if weight > 0]


def _at(axes: list[Floats], log_density: Callable[[float, float], float]) -> Floats:
    return np.array([log_density(a, b) for a, b in product(*axes)]).reshape(STEPS, STEPS)


def _extent(axis: Floats, alive: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the ends of what is alive, with one more value to each side."""
    at = np.flatnonzero(alive)
    return float(axis[max(at[0] - 1, 0)]), float(axis[min(at[-1] + 1, len(axis) - 1)])
