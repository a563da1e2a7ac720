"""The learning-rate factor, by hand."""

import pytest

from mtl_core.training.config import TrainingConfig
from mtl_core.training.lr_schedule import LR_SCHEDULES, lr_factor


@pytest.mark.parametrize(
    ("schedule", "warmup", "progress", "factor"),
    [
        ("constant", 0.0, 0.0, 1.0),
        ("constant", 0.0, 0.99, 1.0),
        ("constant", 0.2, 0.05, 0.25),
        ("constant", 0.2, 0.2, 1.0),
        ("linear", 0.0, 0.25, 0.75),
        ("linear", 0.2, 0.1, 0.5),
        ("linear", 0.2, 0.6, 0.5),
        ("cosine", 0.0, 0.5, 0.5),
        ("cosine", 0.0, 1 / 3, 0.75),
        ("cosine", 0.5, 0.75, 0.5),
    ],
)
def test_factor_has_the_value_worked_by_hand(
    schedule: str, warmup: float, progress: float, factor: float
) -> None:
    config = TrainingConfig(lr_schedule=schedule, warmup=warmup)

    assert lr_factor(config, progress) == pytest.approx(factor)


@pytest.mark.parametrize("schedule", sorted(LR_SCHEDULES))
def test_every_step_of_a_training_has_a_rate_above_zero(schedule: str) -> None:
    config = TrainingConfig(lr_schedule=schedule, warmup=0.1)

    factors = [lr_factor(config, (step + 0.5) / 40) for step in range(40)]

    assert all(0 < factor <= 1 for factor in factors)
    assert factors[:4] == sorted(factors[:4])  # the warm-up rises
