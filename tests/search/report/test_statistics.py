"""Intervals against values worked by hand, against a bootstrap, and at their limits."""

import math

import numpy as np
import pytest

from mtl_core.metrics import Answers, get_metric
from search.report.statistics import (
    Difference,
    Scored,
    luck_of_the_best,
    mean_score,
    only,
    paired_difference,
)


def bits(*values: int) -> np.ndarray:
    return np.array(values, dtype=bool)


def right(n_right: int, n_rows: int) -> np.ndarray:
    return np.arange(n_rows) < n_right


def test_one_task_by_hand() -> None:
    first, second = right(60, 100), right(50, 100)  # 10 gained, none lost

    found = paired_difference({"a": first}, {"a": second}, ["a"])

    assert found is not None
    width = 1.959964 * math.sqrt((10.5 + 0.5 - (10.5 - 0.5) ** 2 / 102) / 102**2)
    assert found.mean == pytest.approx(0.1)
    assert found.high - found.mean == pytest.approx(width, rel=1e-6)
    assert found.mean - found.low == pytest.approx(width, rel=1e-6)
    assert found.rows == 100


def test_tasks_count_alike_whatever_their_rows() -> None:
    first = {"small": right(10, 10), "large": right(500, 1000)}
    second = {"small": right(0, 10), "large": right(500, 1000)}

    found = paired_difference(first, second, ["small", "large"])

    assert found is not None
    assert found.mean == pytest.approx(0.5)


def test_interval_agrees_with_a_bootstrap_over_rows_within_tasks() -> None:
    rng = np.random.default_rng(0)
    first = {task: rng.random(400) < 0.85 for task in "abc"}
    second = {task: first[task] ^ (rng.random(400) < 0.1) for task in "abc"}
    difference = {t: first[t].astype(float) - second[t] for t in "abc"}
    means = [
        np.mean([rng.choice(rows, len(rows)).mean() for rows in difference.values()])
        for _ in range(4000)
    ]

    found = paired_difference(first, second, "abc")

    assert found is not None
    low, high = np.quantile(means, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.002)
    assert found.high == pytest.approx(high, abs=0.002)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        second = rng.random(60) < 0.7
        first = np.where(rng.random(60) < 0.2, rng.random(60) < 0.8, second)
        truth = 0.2 * (0.8 - 0.7)
        found = paired_difference({"a": first}, {"a": second}, ["a"])
        assert found is not None
        covered += found.low <= truth <= found.high

    assert covered / 400 > 0.92


def test_equal_models_on_few_rows_are_not_equal_for_certain() -> None:
    found = paired_difference({"a": right(5, 10)}, {"a": right(5, 10)}, ["a"])

    assert found is not None
    assert found.mean == 0
    assert found.low < -0.05 < 0.05 < found.high
    assert found.sign == 0


def test_order_of_the_models_turns_the_interval_round() -> None:
    first, second = {"a": right(80, 100)}, {"a": right(70, 100)}

    one, other = (paired_difference(*pair, ["a"]) for pair in ((first, second), (second, first)))

    assert one is not None
    assert other is not None
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


@pytest.mark.parametrize(
    ("low", "high", "sign"), [(0.1, 0.2, 1), (-0.2, -0.1, -1), (-0.1, 0.1, 0), (0.0, 0.1, 0)]
)
def test_sign_is_zero_where_the_interval_covers_zero(low: float, high: float, sign: int) -> None:
    assert Difference(mean=(low + high) / 2, low=low, high=high, rows=1).sign == sign


def test_tasks_without_rows_are_left_out() -> None:
    empty = bits()

    assert paired_difference({"a": empty}, {"a": empty}, ["a"]) is None
    assert mean_score({"a": empty, "b": bits(1, 0)}, ["a", "b"]) == 0.5
    assert mean_score({"a": empty}, ["a"]) is None


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


@pytest.mark.parametrize(
    ("kind", "name"),
    [("regression", "pearson"), ("classification", "matthews"), ("classification", "f1")],
)
def test_intervals_of_other_metrics_are_those_of_a_bootstrap(kind: str, name: str) -> None:
    rng, metric, n = np.random.default_rng(3), get_metric(kind, name), 400
    right = rng.normal(size=n)
    answers = [right + rng.normal(size=n) * noise for noise in (0.8, 1.0)]
    if kind == "classification":
        right, answers = (right > 0) + 0, [(of > 0) + 0 for of in answers]
    first, second = (Scored(metric.counts(Answers(a, right, ("n", "y"))), metric) for a in answers)

    found = paired_difference({"a": first}, {"a": second}, ["a"])

    assert found is not None
    draws = rng.integers(0, n, (2000, n))
    wanted = [first[rows].mean() - second[rows].mean() for rows in draws]
    assert found.mean == pytest.approx(first.mean() - second.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.std(wanted), rel=0.1)


def test_two_models_that_answer_alike_do_not_differ() -> None:
    metric = get_metric("regression", "spearman")
    answers = Answers(np.arange(10.0), np.arange(10.0) ** 2, ())
    rows = Scored(metric.counts(answers), metric)

    found = paired_difference({"a": rows}, {"a": rows}, ["a"])

    assert found is not None
    assert (found.low, found.mean, found.high) == (0.0, 0.0, 0.0)
