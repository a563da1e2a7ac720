"""How many engines fit on machines of given CPUs and GPUs."""

import pytest

from mtl_core.errors import ConfigError
from search.config import SearchConfig
from search.local_ray import local_cpus
from search.rooms import check_local, local_engines, machines_in_words, no_room, rooms_on


def test_as_many_engines_as_cpus_allow_and_no_more_than_trials_at_a_time() -> None:
    assert local_engines(SearchConfig()) == local_cpus()
    assert local_engines(SearchConfig(cpus_per_trial=float(2 * local_cpus()))) == 1
    assert local_engines(SearchConfig(workers=1)) == 1
    assert local_engines(SearchConfig(workers=99)) == local_cpus()


def test_an_engine_that_this_machine_has_no_cpus_for_is_refused() -> None:
    check_local(SearchConfig(cpus_per_trial=float(local_cpus())))

    with pytest.raises(ConfigError, match=f"found 999, this machine has {local_cpus()} CPUs; at"):
        check_local(SearchConfig(cpus_per_trial=999.0))


def test_a_trial_that_fits_on_no_machine_is_named_with_what_there_is() -> None:
    config = SearchConfig(cpus_per_trial=4.0, gpus_per_trial=1.0)

    faults = no_room(config, [{"CPU": 2.0}])

    assert faults == [
        "search.cpus_per_trial: found 4, the largest machine has 2 CPUs; at most that many would "
        "be right",
        "search.gpus_per_trial: found 1, the largest machine has 0 GPUs; "
        "--set search.gpus_per_trial=0 does without",
    ]


@pytest.mark.parametrize(
    ("cpus", "gpus", "rooms"),
    [
        (1.0, 0.0, [8, 2, 4]),
        (1.0, 1.0, [2, 0, 1]),
        (0.5, 0.6, [2, 0, 1]),  # not three on two GPUs: no engine gets parts of both
        (0.5, 0.3, [6, 0, 3]),
        (1.0, 0.125, [8, 0, 4]),
        (0.25, 0.16666, [10, 0, 5]),  # which Ray rounds to 0.1667
        (0.16666, 0.0, [47, 11, 23]),
    ],
)
def test_there_is_room_for_as_many_engines_as_ray_can_place(
    cpus: float, gpus: float, rooms: list[int]
) -> None:
    machines = [{"CPU": 8.0, "GPU": 2.0}, {"CPU": 2.0}, {"CPU": 4.0, "GPU": 1.0}]

    assert rooms_on(SearchConfig(cpus_per_trial=cpus, gpus_per_trial=gpus), machines) == rooms


@pytest.mark.parametrize(
    ("gpus_per_trial", "gpus", "words"),
    [
        (0.0, 0.0, "4 CPUs"),
        (0.0, 2.0, "4 CPUs, 2 GPUs (2 idle: search.gpus_per_trial is 0)"),
        (0.5, 2.0, "4 CPUs, 2 GPUs"),
        (
            0.25,
            2.0,
            "4 CPUs, 2 GPUs (1 idle: search.cpus_per_trial leaves no CPUs for an engine there)",
        ),
    ],
)
def test_gpus_that_no_engine_uses_are_told(gpus_per_trial: float, gpus: float, words: str) -> None:
    config, machines = SearchConfig(gpus_per_trial=gpus_per_trial), [{"CPU": 4.0, "GPU": gpus}]

    assert machines_in_words(config, machines, rooms_on(config, machines)) == words
