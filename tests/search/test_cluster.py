"""What can be said about a cluster without starting one."""

import gc
import logging
import os
import socket

import pytest

from mtl_core.errors import ConfigError
from search.cluster import (
    _in_words,
    _no_garbage,
    _no_room,
    _rooms,
    _settings,
    _silence,
    joined,
    local_cpus,
    local_engines,
)
from search.config import SearchConfig


def test_as_many_engines_as_cpus_allow_and_no_more_than_trials_at_a_time() -> None:
    assert local_engines(SearchConfig()) == local_cpus()
    assert local_engines(SearchConfig(cpus_per_trial=float(2 * local_cpus()))) == 1
    assert local_engines(SearchConfig(workers=1)) == 1
    assert local_engines(SearchConfig(workers=99)) == local_cpus()


@pytest.mark.parametrize("address", ["127.0.0.1:{free}", "nowhere", "127.0.0.1:99999999"])
def test_an_address_where_no_cluster_answers_is_refused_at_once(address: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        where = address.format(free=taken.getsockname()[1])
        with (
            pytest.raises(ConfigError, match=r"--address .*no Ray cluster answers there"),
            joined(where, SearchConfig()),
        ):
            pass


def test_a_trial_that_fits_on_no_machine_is_named_with_what_there_is() -> None:
    faults = _no_room([{"CPU": 2.0}], {"CPU": 4, "GPU": 1})

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

    assert _rooms(SearchConfig(cpus_per_trial=cpus, gpus_per_trial=gpus), machines) == rooms


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

    assert _in_words(config, machines, _rooms(config, machines)) == words


def test_the_environment_is_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    before, level = dict(os.environ), logging.getLogger("ray").level

    with _settings(), _silence():
        assert os.environ["RAY_AIR_NEW_OUTPUT"] == "0"
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"  # the user's own setting stands

    assert dict(os.environ) == before
    assert logging.getLogger("ray").level == level


def test_garbage_is_collected_before_a_shutdown_and_not_in_the_middle_of_it() -> None:
    class Handle:
        def __init__(self) -> None:
            self.itself = self  # a cycle, as Tune leaves them

        def __del__(self) -> None:
            gone.append(gc.isenabled())

    gone: list[bool] = []
    Handle()

    with _no_garbage():
        assert gone == [True]
        assert not gc.isenabled()

    assert gc.isenabled()
