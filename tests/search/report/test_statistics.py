"""Scores, signs and luck against values worked by hand and by simulation."""

import numpy as np
import pytest

from search.report.statistics import Difference, luck_of_the_best, mean_score, only


def bits(*values: int) -> np.ndarray:
    return np.array(values, dtype=bool)


@pytest.mark.parametrize(
    ("low", "high", "sign"), [(0.1, 0.2, 1), (-0.2, -0.1, -1), (-0.1, 0.1, 0), (0.0, 0.1, 0)]
)
def test_sign_is_zero_where_the_interval_covers_zero(low: float, high: float, sign: int) -> None:
    assert Difference(mean=(low + high) / 2, low=low, high=high, rows=1).sign == sign


def test_only_keeps_the_rows_of_the_mask() -> None:
    kept = only({"a": bits(1, 0, 1)}, {"a": bits(1, 1, 0)})

    assert kept["a"].tolist() == [True, False]


def test_luck_of_the_best_is_that_of_simulated_equal_trials() -> None:
    rng = np.random.default_rng(2)
    best = rng.binomial(200, 0.85, size=(4000, 50)).max(axis=1) / 200

    assert luck_of_the_best(0.85, 200, 50) == pytest.approx(best.mean() - 0.85, abs=0.003)


def test_a_single_trial_has_no_luck() -> None:
    assert luck_of_the_best(0.85, 200, 1) == 0
    assert luck_of_the_best(0.85, 0, 10) == 0


def test_mean_score_leaves_tasks_without_rows_out() -> None:
    assert mean_score({"a": bits(), "b": bits(1, 0)}, ["a", "b"]) == 0.5
    assert mean_score({"a": bits()}, ["a"]) is None
