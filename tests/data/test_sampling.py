"""Shares of the tasks in an epoch, and the passes over a task's rows."""

import numpy as np
import pytest

from mtl_core.data.config import BatchConfig
from mtl_core.data.sampling import draw_examples, examples_per_task
from mtl_core.seeding import stream

NAMES = ("a", "b", "c")


def test_proportional_shows_every_row_once() -> None:
    assert examples_per_task([7, 100, 13], NAMES, BatchConfig()) == (7, 100, 13)


def test_uniform_gives_every_task_the_same_and_keeps_the_length_of_the_epoch() -> None:
    config = BatchConfig(sampling="uniform")

    assert examples_per_task([10, 80, 30], NAMES, config) == (40, 40, 40)
    assert examples_per_task([10, 81, 30], NAMES, config) == (41, 40, 40)


def test_temperature_two_takes_square_roots() -> None:
    # Roots 10, 20, 30 of 100, 400, 900: shares 1/6, 2/6, 3/6 of 1400.
    config = BatchConfig(sampling="temperature", sampling_temperature=2.0)

    assert examples_per_task([100, 400, 900], NAMES, config) == (233, 467, 700)


@pytest.mark.parametrize(("temperature", "limit"), [(1.0, "proportional"), (1e9, "uniform")])
def test_temperature_has_the_other_samplings_as_limits(temperature: float, limit: str) -> None:
    config = BatchConfig(sampling="temperature", sampling_temperature=temperature)

    counts = examples_per_task([10, 80, 30], NAMES, config)

    assert counts == examples_per_task([10, 80, 30], NAMES, BatchConfig(sampling=limit))


def test_counts_follow_the_names_when_tasks_change_places() -> None:
    config = BatchConfig(sampling="temperature", sampling_temperature=3.0)

    counts = examples_per_task([11, 80, 30], ("a", "b", "c"), config)
    moved = examples_per_task([30, 11, 80], ("c", "a", "b"), config)

    assert moved == (counts[2], counts[0], counts[1])


def test_no_task_gets_less_than_one_example() -> None:
    config = BatchConfig(sampling="temperature", sampling_temperature=0.1)

    assert min(examples_per_task([1, 1000], ("a", "b"), config)) == 1


def test_the_smallest_temperature_gives_all_to_the_largest_task() -> None:
    config = BatchConfig(sampling="temperature", sampling_temperature=0.01)

    assert examples_per_task([67_000, 250], ("a", "b"), config) == (67_250, 1)


def test_a_task_drawn_above_its_size_goes_through_whole_passes() -> None:
    drawn = draw_examples(10, 25, stream(0))

    assert sorted(drawn[:10]) == sorted(drawn[10:20]) == list(range(10))
    assert drawn[:10].tolist() != drawn[10:20].tolist()
    assert len(set(drawn[20:])) == 5


def test_a_task_drawn_below_its_size_is_a_part_without_repeats() -> None:
    drawn = draw_examples(100, 30, stream(0))

    assert len(np.unique(drawn)) == 30


@pytest.mark.parametrize(
    ("sampling", "wanted"),
    [("proportional", (100, 300)), ("uniform", (200, 200)), ("temperature", (146, 254))],
)
def test_an_epoch_of_given_examples_is_shared_out(sampling: str, wanted: tuple[int, int]) -> None:
    config = BatchConfig(sampling=sampling, epoch_examples=400)

    counts = examples_per_task([1000, 3000], ["rte", "sst2"], config)

    assert counts == wanted  # 400 / (1 + sqrt(3)) = 146.4


def test_an_epoch_has_an_example_of_each_task() -> None:
    config = BatchConfig(epoch_examples=3)

    assert min(examples_per_task([10, 10_000], ["rte", "sst2"], config)) == 1
