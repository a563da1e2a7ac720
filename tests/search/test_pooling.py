"""The random-effects model: against matrices written out, its limits, and its draws."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from search import pooling
from search.pooling import Pooled, Scores


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def scores_of(values: np.ndarray, noise: Any = 0.0005, groups: Any = 0) -> Scores:
    return Scores(
        values=values,
        noise=np.broadcast_to(noise, values.shape).astype(np.float64),
        groups=np.broadcast_to(groups, len(values)).astype(np.int64),
    )


def written_out(scores: Scores, sd_trial: float, sd_pair: float) -> tuple[float, np.ndarray]:
    """Return REML log likelihood (without constants) and predictions, by dense matrices."""
    n, k = scores.values.shape
    seen = ~np.isnan(scores.values.ravel())
    y = scores.values.ravel()[seen]
    trial = np.kron(np.eye(n), np.ones((k, 1)))
    effects = sd_trial**2 * trial @ trial.T + sd_pair**2 * np.eye(n * k)
    groups = np.eye(scores.groups.max() + 1)[scores.groups][:, 1:]
    x_all = np.hstack([np.kron(np.ones((n, 1)), np.eye(k)), trial @ groups])
    x = x_all[seen]
    v = effects[np.ix_(seen, seen)] + np.diag(scores.noise.ravel()[seen])
    inverse = np.linalg.inv(v)
    information = x.T @ inverse @ x
    beta = np.linalg.solve(information, x.T @ inverse @ y)
    rest = y - x @ beta
    likelihood = -0.5 * (
        np.linalg.slogdet(v)[1] + np.linalg.slogdet(information)[1] + rest @ inverse @ rest
    )
    predicted = x_all @ beta + effects[:, seen] @ inverse @ rest
    return float(likelihood), predicted.reshape(n, k)


def normal(scores: Scores) -> pooling._Data:
    """Return the data for effects of trials that are normal, without heavy tails."""
    return replace(pooling._Data.of(scores), tails=((1.0, 1.0),))


def holey(rng: np.random.Generator) -> Scores:
    values = 0.8 + rng.normal(0, 0.03, (7, 4)) + rng.normal(0, 0.03, (7, 1))
    values[rng.random((7, 4)) < 0.2] = np.nan
    values[0] = 0.8
    noise = rng.uniform(1e-4, 9e-4, (7, 4))
    return scores_of(values, noise, [0, 0, 0, 1, 1, 1, 1])


def test_predictions_with_holes_and_groups_are_those_of_matrices_written_out(
    rng: np.random.Generator,
) -> None:
    scores = holey(rng)
    model = pooling._Model(normal(scores), 0.02, 0.03)

    assert model.mean == pytest.approx(written_out(scores, 0.02, 0.03)[1], abs=1e-10)


def test_the_density_of_deviations_follows_the_restricted_likelihood(
    rng: np.random.Generator,
) -> None:
    scores = holey(rng)
    data = normal(scores)

    def gained(first: tuple[float, float], second: tuple[float, float]) -> float:
        densities = [
            pooling._Model(data, *pair).log_density
            + sum(np.log1p((sd / pooling.PRIOR_SCALE) ** 2) for sd in pair)  # without the prior
            for pair in (first, second)
        ]
        return densities[1] - densities[0]

    expected = written_out(scores, 0.05, 0.01)[0] - written_out(scores, 0.01, 0.03)[0]
    assert gained((0.01, 0.03), (0.05, 0.01)) == pytest.approx(expected, rel=1e-6)


def test_draws_have_the_mean_and_the_variance_of_the_predictions(
    rng: np.random.Generator,
) -> None:
    scores = holey(rng)
    data = normal(scores)
    model = pooling._Model(data, 0.02, 0.03)
    drawn = model.draw(rng, 40_000)

    n, k = scores.values.shape
    seen = ~np.isnan(scores.values.ravel())
    trial = np.kron(np.eye(n), np.ones((k, 1)))
    groups = np.eye(2)[scores.groups][:, 1:]
    design = np.hstack([np.kron(np.ones((n, 1)), np.eye(k)), trial @ groups, trial, np.eye(n * k)])
    prior = np.diag([0.0] * (k + 1) + [0.02**-2] * n + [0.03**-2] * (n * k))
    precision = design[seen].T @ np.diag(1 / scores.noise.ravel()[seen]) @ design[seen] + prior
    variance = np.diag(design @ np.linalg.inv(precision) @ design.T).reshape(n, k)

    assert drawn.mean(0) == pytest.approx(model.mean, abs=1e-3)
    assert drawn.var(0) == pytest.approx(variance, rel=0.05)


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
