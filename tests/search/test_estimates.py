"""Estimates of trials: by hand where a normal posterior is known, and what is taken from draws."""

import math

import numpy as np
import pytest

from search.estimates import Estimate, Estimates, estimate_all
from search.objectives import all_objectives, objective_of
from search.pooling import Pooled, Scores

TASKS = ("a", "b")


def estimates(
    scores: np.ndarray, *, noise: float = 1e-4, shared: float = 0.0
) -> dict[str, Estimates]:
    names = [f"t{at}" for at in range(len(scores))]
    nothing = np.zeros(len(scores), np.int64)
    pooled = Pooled(
        Scores(values=scores, noise=np.full(scores.shape, noise), groups=nothing, arms=nothing)
    )
    objectives = all_objectives(objective_of("mean", TASKS), TASKS)
    rng = np.random.default_rng(0)
    return estimate_all(names, scores, pooled, np.full(2, shared), objectives, rng)


def test_an_interval_is_as_wide_as_asked_for() -> None:
    estimate = Estimate(raw=0.9, mean=0.8, error=0.1, probability_best=0.5)

    assert estimate.interval() == pytest.approx((0.8 - 0.196, 0.8 + 0.196), abs=1e-3)
    assert estimate.interval(0.9) == pytest.approx((0.8 - 0.1645, 0.8 + 0.1645), abs=1e-3)


def test_without_noise_all_is_as_seen_and_the_best_is_certain() -> None:
    found = estimates(np.array([[0.9, 0.5], [0.8, 0.7], [0.6, 0.65]]), noise=1e-9)

    assert found["average"]["t1"].mean == pytest.approx(0.75, abs=1e-3)
    assert found["worst_task"]["t0"].mean == pytest.approx(0.5, abs=1e-3)
    assert found["average"].probability_best.tolist() == [0.0, 1.0, 0.0]
    assert found["task:a"]["t0"].probability_best == 1.0
    assert found["average"]["t1"].error < 1e-3


def test_probabilities_of_all_trials_add_up_to_one() -> None:
    found = estimates(np.random.default_rng(1).normal(0.8, 0.02, (6, 2)))

    for of in found.values():
        assert of.probability_best.sum() == pytest.approx(1.0)


def test_the_worst_of_two_uncertain_tasks_is_worse_than_either_is_thought_to_be() -> None:
    scores = np.full((30, 2), 0.8) + np.random.default_rng(2).normal(0, 0.02, (30, 2))

    found = estimates(scores, noise=0.02**2)

    either = np.minimum(found["task:a"].mean, found["task:b"].mean)
    assert (found["worst_task"].mean < either + 1e-3).all()


def test_noise_that_trials_share_is_in_the_errors_and_in_no_choice() -> None:
    scores = np.random.default_rng(3).normal(0.8, 0.03, (8, 2))

    without, with_shared = estimates(scores), estimates(scores, shared=0.05**2)

    first, second = without["average"], with_shared["average"]
    added = math.sqrt(0.05**2 / 2)  # of the mean of two tasks
    assert second.error == pytest.approx(np.sqrt(first.error**2 + added**2), rel=0.06)
    assert second.probability_best == pytest.approx(first.probability_best, abs=0.04)
    assert second.mean.tolist() == first.mean.tolist()


def test_who_has_no_score_cannot_be_best() -> None:
    of = Estimates(
        ("t0", "t1", "t2"),
        raw=np.array([math.nan, 0.7, 0.8]),
        mean=np.array([0.9, 0.75, 0.72]),
        error=np.zeros(3),
        probability_best=np.zeros(3),
    )

    assert of.best() == 1
    assert of.raw_best() == 2
    assert of.best(np.array([True, False, True])) == 2
    assert of.best(np.array([True, False, False])) is None
    assert list(of) == ["t0", "t1", "t2"]
