import pytest
from pydantic import ValidationError

from search.config import ConfirmConfig, EarlyStoppingConfig, SearchConfig


def test_the_default_search_is_forty_trials_with_early_stopping() -> None:
    config = SearchConfig()

    assert (config.trials, config.minutes, config.sampler) == (40, None, "tpe")
    assert config.early_stopping == EarlyStoppingConfig(grace_period_epochs=2, reduction_factor=3)


def test_early_stopping_can_be_switched_off() -> None:
    assert SearchConfig(early_stopping=None).early_stopping is None


@pytest.mark.parametrize(
    "values",
    [
        *({"trials": 0}, {"minutes": 0}, {"retries": -1}, {"trails": 3}),
        *({"gpus_per_trial": 2}, {"cpus_per_trial": 0.00004}),
    ],
)
def test_a_value_out_of_range_or_an_unknown_key_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        SearchConfig(**values)  # type: ignore[arg-type]


def test_a_reduction_factor_of_one_would_stop_nothing_and_is_refused() -> None:
    with pytest.raises(ValidationError):
        EarlyStoppingConfig(reduction_factor=1)


def test_the_best_are_confirmed_with_three_seeds_and_five_at_most() -> None:
    assert SearchConfig().confirm == ConfirmConfig(seeds=3, max_seeds=5, share=0.4, minutes=None)
