"""Optuna's own conformance suites, over the sampler as this program makes it.

The suite of relative sampling is left out: it calls `sample_relative` without having asked for the
search space before, which no sampler with `group=True` takes (Optuna 5.0 runs it without groups).
"""

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
)

from search.sampling import make_sampler

pytestmark = pytest.mark.filterwarnings("default")  # the suites warn of what they try


class TestTpe(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: make_sampler(1)
