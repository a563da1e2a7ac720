"""Partial pooling: what it finds of planted scores, and its limits."""

from typing import Any

import numpy as np
import pytest

from search.pooling import Pooled, Scores


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def scores_of(values: np.ndarray, noise: Any = 0.0005, groups: Any = 0, arms: Any = 0) -> Scores:
    return Scores(
        values=values,
        noise=np.broadcast_to(noise, values.shape).astype(np.float64),
        groups=np.broadcast_to(groups, len(values)).astype(np.int64),
        arms=np.broadcast_to(arms, len(values)).astype(np.int64),
    )


def test_without_noise_estimates_are_what_was_seen(rng: np.random.Generator) -> None:
    values = rng.uniform(0.5, 0.9, (10, 3))

    assert Pooled(scores_of(values, 1e-9)).mean == pytest.approx(values, abs=1e-4)


def test_deviations_that_were_planted_are_found(rng: np.random.Generator) -> None:
    values = rng.uniform(0.7, 0.9, 20) + rng.normal(0, 0.02, (200, 1))
    values = values + rng.normal(0, 0.01, values.shape) + rng.normal(0, 0.025, values.shape)

    pooled = Pooled(scores_of(values, 0.025**2))

    assert pooled.sd_interaction == pytest.approx(0.01, abs=0.002)
    assert pooled.sd_trial == pytest.approx(0.02, abs=0.005)


def test_trials_that_differ_by_noise_alone_are_drawn_close_together(
    rng: np.random.Generator,
) -> None:
    values = 0.8 + rng.normal(0, 0.025, (40, 16))

    pooled = Pooled(scores_of(values, 0.025**2))

    assert np.ptp(pooled.mean.mean(1)) < 0.4 * np.ptp(values.mean(1))
    assert pooled.mean.std(0).mean() < 0.3 * 0.025


def test_one_trial_far_above_all_others_is_hardly_drawn_down(rng: np.random.Generator) -> None:
    values = 0.8 + rng.normal(0, 0.02, (50, 8))
    values[7] += 0.08

    pooled = Pooled(scores_of(values, 0.02**2))

    assert pooled.mean[7].mean() > values[7].mean() - 0.012
    assert np.delete(pooled.mean, 7, 0).mean(1).std() < 0.006  # the others are still drawn together


def test_a_group_is_drawn_to_its_own_mean(rng: np.random.Generator) -> None:
    values = 0.8 + rng.normal(0, 0.02, (20, 4))
    values[10:] -= 0.2

    means = Pooled(scores_of(values, 0.02**2, np.repeat([0, 1], 10))).mean.mean(1)

    assert means[:10].mean() == pytest.approx(values[:10].mean(), abs=1e-3)
    assert means[10:].mean() == pytest.approx(values[10:].mean(), abs=1e-3)
    assert means[:10].std() < values[:10].mean(1).std()


def test_one_trial_alone_is_what_was_seen_of_it() -> None:
    values = np.array([[0.8, 0.7, 0.6]])

    pooled = Pooled(scores_of(values, 0.0004))
    drawn = np.concatenate(list(pooled.draws(np.random.default_rng(0), 2_000)))

    assert pooled.mean == pytest.approx(values)
    assert drawn.std(0) == pytest.approx(0.02, rel=0.1)


def test_an_arm_s_trials_are_drawn_to_what_the_arm_is_on_each_task(
    rng: np.random.Generator,
) -> None:
    arms = np.repeat(np.arange(4), 10)
    profiles = 0.8 + rng.normal(0, 0.04, (4, 1)) + rng.normal(0, 0.03, (4, 8))
    values = profiles[arms] + rng.normal(0, 0.03, (40, 8))

    with_arms = Pooled(scores_of(values, 0.03**2, arms=arms))
    without = Pooled(scores_of(values, 0.03**2))

    off = [np.sqrt(((of.mean - profiles[arms]) ** 2).mean()) for of in (with_arms, without)]
    assert off[0] < 0.7 * off[1]
    assert with_arms.sd_trial < 0.01 < without.sd_trial


def test_arms_that_are_alike_are_no_arms(rng: np.random.Generator) -> None:
    values = 0.8 + rng.normal(0, 0.02, (40, 1)) + rng.normal(0, 0.03, (40, 8))

    with_arms = Pooled(scores_of(values, 0.025**2, arms=np.arange(40) % 4))
    without = Pooled(scores_of(values, 0.025**2))

    assert np.abs(with_arms.mean - without.mean).mean() < 0.004


def test_arms_of_one_trial_each_are_left_out(rng: np.random.Generator) -> None:
    values = 0.8 + rng.normal(0, 0.03, (5, 4))

    one_each = Pooled(scores_of(values, 0.025**2, arms=np.arange(5)))

    assert one_each.mean == pytest.approx(Pooled(scores_of(values, 0.025**2)).mean)
