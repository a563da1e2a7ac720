"""The grid over two deviations covers where they may be, wherever that is."""

import numpy as np
import pytest

from search.deviations import posterior_of_deviations


@pytest.mark.parametrize(
    ("peak", "width"), [((0.02, 0.03), 0.004), ((0.1, 0.005), 0.002), ((0.3, 0.2), 0.05)]
)
def test_mean_and_spread_of_a_bell_are_found(peak: tuple[float, float], width: float) -> None:
    def log_density(a: float, b: float) -> float:
        return -((a - peak[0]) ** 2 + (b - peak[1]) ** 2) / (2 * width**2)

    found = np.array(posterior_of_deviations(log_density))
    mean = found[:, 0] @ found[:, 1:]

    assert found[:, 0].sum() == pytest.approx(1.0)
    assert mean == pytest.approx(peak, abs=0.5 * width)
    assert np.sqrt(found[:, 0] @ (found[:, 1:] - mean) ** 2) == pytest.approx(width, rel=0.35)


def test_a_deviation_that_is_likeliest_0_keeps_what_else_it_may_be() -> None:
    found = posterior_of_deviations(lambda a, b: -a / 0.01 - ((b - 0.02) ** 2) / (2 * 0.003**2))

    assert min(a for _, a, _ in found) == 0.0
    assert sum(weight * a for weight, a, _ in found) == pytest.approx(0.01, rel=0.4)
