"""Fixed weights, by hand."""

import pytest
import torch

from mtl_core.errors import ConfigError
from mtl_core.weighting.fixed import FixedWeights, equal_weights, size_weights, static_weights
from mtl_core.weighting.task_weighting import StepLosses

NAMES = ("books", "dvd", "music")


def combine(weights: list[float], tasks: tuple[int, ...]) -> float:
    values = torch.tensor([0.5, 1.0, 2.0])[list(tasks)]
    losses = StepLosses(values=values, tasks=tasks, step=0, gradients=lambda: values)
    return FixedWeights(weights).combine(losses).item()


def test_equal_is_the_plain_sum() -> None:
    assert combine(equal_weights(3), (0, 1, 2)) == pytest.approx(3.5)
    assert combine(equal_weights(3), (2,)) == pytest.approx(2.0)


def test_static_weights_are_scaled_to_sum_to_the_number_of_tasks() -> None:
    weights = static_weights({"books": 4.0}, NAMES)  # 4, 1, 1: half of 6

    assert weights == pytest.approx([2.0, 0.5, 0.5])
    assert combine(weights, (0, 1, 2)) == pytest.approx(2 * 0.5 + 0.5 * 1 + 0.5 * 2)
    assert combine(weights, (2,)) == pytest.approx(0.5 * 2)


def test_static_names_every_unknown_task_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        static_weights({"book": 1.0, "musik": 1.0}, NAMES)

    message = str(caught.value)
    assert "unknown 'book', did you mean 'books'?" in message
    assert "unknown 'musik', did you mean 'music'?" in message


def test_static_without_weights_says_what_is_missing() -> None:
    with pytest.raises(ConfigError, match=r"weighting.weights: missing"):
        static_weights(None, NAMES)


def test_size_counts_a_task_by_a_root_of_its_rows() -> None:
    # roots of 100, 400, 900: 10, 20, 30, times 3 / 60
    assert size_weights([100, 400, 900], 2.0) == pytest.approx([0.5, 1.0, 1.5])


def test_size_at_temperature_one_is_proportional_and_at_a_large_one_equal() -> None:
    assert size_weights([100, 300], 1.0) == pytest.approx([0.5, 1.5])
    assert size_weights([100, 300], 1e9) == pytest.approx([1.0, 1.0])


def test_size_survives_a_tiny_temperature() -> None:
    assert size_weights([1000, 2000], 1e-3) == pytest.approx([0.0, 2.0])
