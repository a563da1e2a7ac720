"""How far arms are apart, and which trials stand apart, is found as it was planted."""

import numpy as np
import pytest

from search.pooling import Scores, data_of
from search.variances import with_variances


def planted(sd_arm: float, sd_profile: float, seed: int = 0) -> Scores:
    rng = np.random.default_rng(seed)
    arms = np.arange(240) % 12
    values = rng.normal(0, sd_arm, (12, 1)) + rng.normal(0, sd_profile, (12, 20))
    values = 0.8 + values[arms] + rng.normal(0, 0.01, (240, 1)) + rng.normal(0, 0.03, (240, 20))
    nothing = np.zeros(240, np.int64)
    return Scores(values=values, noise=np.full(values.shape, 0.03**2), groups=nothing, arms=arms)


def test_deviations_of_arms_are_found() -> None:
    found = with_variances(data_of(planted(0.04, 0.02)))

    assert found.sd_arm == pytest.approx(0.04, rel=0.5)
    assert found.sd_profile == pytest.approx(0.02, rel=0.15)


def test_where_arms_are_alike_their_deviations_become_small() -> None:
    found = with_variances(data_of(planted(0.0, 0.0)))

    assert found.sd_arm < 0.006
    assert found.sd_profile < 0.008


def test_the_scale_of_a_trial_that_stands_apart_is_large_and_no_other_is() -> None:
    scores = planted(0.0, 0.0)
    scores.values[7] += 0.15

    found = with_variances(data_of(scores))

    assert found.scale[7] > 5
    assert np.median(found.scale) < 1.3
