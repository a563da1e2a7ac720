"""The model at given deviations: against matrices written out, and its draws."""

import numpy as np
import pytest

from search.mixed_model import Data, Model

NORMAL = ((1.0, 1.0),)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(params=[1, 3], ids=["one arm", "three arms"])
def data(request: pytest.FixtureRequest, rng: np.random.Generator) -> Data:
    """Scores with holes, of trials in two groups and some arms."""
    values = 0.8 + rng.normal(0, 0.03, (9, 4)) + rng.normal(0, 0.03, (9, 1))
    seen = rng.random((9, 4)) > 0.2
    seen[0] = True
    centre = values.mean(0)
    return Data(
        centre=centre,
        values=np.where(seen, values - centre, 0.0),
        noise=np.where(seen, rng.uniform(1e-4, 9e-4, (9, 4)), np.inf),
        seen=seen,
        member=np.repeat([0.0, 1.0], [4, 5])[:, None],
        arms=np.arange(9) % request.param,
        scale=np.ones(9),
        tails=NORMAL,
        sd_arm=0.04,
        sd_profile=0.02,
    )


class WrittenOut:
    """The same model by dense matrices: all random effects in one covariance of all scores."""

    def __init__(self, data: Data, sd_trial: float, sd_pair: float) -> None:
        n, k = data.values.shape
        seen = data.seen.ravel()
        trials = np.kron(np.eye(n), np.ones((k, 1)))
        arms = np.eye(data.n_arms)[data.arms]
        of_arms = arms @ arms.T if data.n_arms > 1 else np.zeros((n, n))
        self.covariance = (
            np.kron(of_arms, data.sd_arm**2 * np.ones((k, k)) + data.sd_profile**2 * np.eye(k))
            + sd_trial**2 * trials @ trials.T
            + sd_pair**2 * np.eye(n * k)
        )
        self.design = np.hstack([np.kron(np.ones((n, 1)), np.eye(k)), trials @ data.member])
        self.total = self.covariance[np.ix_(seen, seen)] + np.diag(data.noise.ravel()[seen])
        self.x, self.y = self.design[seen], data.values.ravel()[seen]
        self.inverse = np.linalg.inv(self.total)
        self.information = self.x.T @ self.inverse @ self.x
        self.effects = np.linalg.solve(self.information, self.x.T @ self.inverse @ self.y)
        self.rest = self.y - self.x @ self.effects
        self.across = self.covariance[:, seen]
        self.shape = (n, k)

    def log_likelihood(self) -> float:
        misfit = self.rest @ self.inverse @ self.rest
        determinants = np.linalg.slogdet(self.total)[1] + np.linalg.slogdet(self.information)[1]
        return float(-(determinants + misfit) / 2)

    def mean(self) -> np.ndarray:
        predicted = self.design @ self.effects + self.across @ self.inverse @ self.rest
        return predicted.reshape(self.shape)

    def variance(self) -> np.ndarray:
        left = self.design - self.across @ self.inverse @ self.x
        found = self.covariance - self.across @ self.inverse @ self.across.T
        found += left @ np.linalg.inv(self.information) @ left.T
        return np.diag(found).reshape(self.shape)


def test_predictions_are_those_of_matrices_written_out(data: Data) -> None:
    found = Model(data, 0.02, 0.03).mean - data.centre

    assert found == pytest.approx(WrittenOut(data, 0.02, 0.03).mean(), abs=1e-9)


def test_the_likelihood_follows_that_of_matrices_written_out(data: Data) -> None:
    pairs = [(0.01, 0.03), (0.05, 0.01), (0.0, 0.02)]
    found = [Model(data, *pair).log_likelihood for pair in pairs]
    expected = [WrittenOut(data, *pair).log_likelihood() for pair in pairs]

    assert np.diff(found) == pytest.approx(np.diff(expected), rel=1e-6)


def test_draws_have_the_mean_and_the_variance_of_matrices_written_out(
    data: Data, rng: np.random.Generator
) -> None:
    model, expected = Model(data, 0.02, 0.03), WrittenOut(data, 0.02, 0.03)

    drawn = model.draw(rng, 40_000)

    assert drawn.mean(0) == pytest.approx(model.mean, abs=1e-3)
    assert drawn.var(0) == pytest.approx(expected.variance(), rel=0.05)


def test_a_trial_far_off_is_likely_of_a_large_scale_and_drawn_with_it(
    data: Data, rng: np.random.Generator
) -> None:
    values = data.values.copy()
    values[0] += 0.2
    tails = ((1.0, 0.9), (100.0, 0.1))
    model = Model(Data(**{**vars(data), "values": values, "tails": tails}), 0.01, 0.01)

    drawn = model.draw(rng, 20_000)

    assert model.likely[0, 1] > 0.9 > 0.5 > model.likely[1, 1]
    assert drawn.mean(0) == pytest.approx(model.mean, abs=2e-3)


def test_a_sample_has_some_trials_and_tasks_that_have_scores(data: Data) -> None:
    some = data.sample(4, 2)

    assert some.values.shape == (4, 2)
    assert some.seen.any(0).all()
    assert sorted(set(some.arms.tolist())) == list(range(some.n_arms))
