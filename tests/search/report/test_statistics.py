"""Scores and signs against values worked by hand."""

import numpy as np
import pytest

from search.report.statistics import Difference, mean_score, only


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


def test_mean_score_leaves_tasks_without_rows_out() -> None:
    assert mean_score({"a": bits(), "b": bits(1, 0)}, ["a", "b"]) == 0.5
    assert mean_score({"a": bits()}, ["a"]) is None
