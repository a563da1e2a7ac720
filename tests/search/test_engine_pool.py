"""The pool of engines as the driver uses it, with actors that only take notes."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayActorError

from mtl_core.training.config import TrialConfig
from search import engine_pool
from search.config import SearchConfig
from search.engine_pool import END_SECONDS, EnginePool
from search.engines import Workplace

CONFIG = TrialConfig().as_dict()
PLACE = Workplace(encoded="corpus.arrow", folder="study", tasks=("books",))


class FakeMethod:
    def __init__(self, call: Callable[..., Any]) -> None:
        self.remote = call

    def options(self, **_: Any) -> "FakeMethod":
        return self


class FakeCluster:
    """Stands for Ray: an answer is a string, and there as soon as it is in `answers`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.answers: dict[str, Any] = {}
        self.options: dict[str, Any] = {}
        self.started: list[str] = []

    def remote(self, **options: Any) -> Callable[[type], Any]:
        self.options = options
        return lambda _: SimpleNamespace(options=lambda name: FakeMethod(self._start(name)))

    def _start(self, name: str) -> Callable[..., Any]:
        self.started.append(name)
        name = name.removeprefix("study ")

        def start(workplace: dict[str, Any]) -> Any:
            assert workplace["tasks"] == ("books",)
            names = ("close", "state", "calibrate", "until_lost")
            return SimpleNamespace(
                **{method: FakeMethod(self._call(name, method)) for method in names}
            )

        return start

    def _call(self, name: str, method: str) -> Callable[..., str]:
        def call(*arguments: Any, **more: Any) -> str:
            if method == "close":
                self.calls.append((name, method, *map(str, arguments), str(more["keep"])))
            return f"{name}.{method}"

        return call

    def wait(self, answers: list[str], **_: Any) -> tuple[list[str], list[str]]:
        return [answer for answer in answers if answer in self.answers], []

    def get(self, answer: str) -> Any:
        if isinstance(self.answers[answer], Exception):
            raise self.answers[answer]
        return self.answers[answer]

    def kill(self, _: Any) -> None:
        self.calls.append(("killed",))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    fake = FakeCluster()
    monkeypatch.setattr(engine_pool, "ray", fake)
    return fake


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_engines_take_what_the_search_says_and_bear_the_name_of_the_study(
    cluster: FakeCluster,
) -> None:
    EnginePool(SearchConfig(cpus_per_trial=2, gpus_per_trial=0.5), PLACE, 1)

    assert (cluster.options["num_cpus"], cluster.options["num_gpus"]) == (2, 0.5)
    assert cluster.options["max_restarts"] == 0  # else Ray does not say what was lost
    assert cluster.started == ["study engine1"]


def test_the_lane_of_an_ended_trial_is_closed_in_its_engine(cluster: FakeCluster) -> None:
    pool = EnginePool(SearchConfig(), PLACE, 2)
    pool.place("t0001", CONFIG)
    second = pool.place("t0002", CONFIG)

    pool.release("t0002")
    pool.release("t0002")

    assert cluster.calls == [(second.engine, "close", second.lane, "False")]


def test_another_engine_takes_the_place_of_a_lost_one_once_it_is_up(cluster: FakeCluster) -> None:
    told: list[str] = []
    pool = EnginePool(SearchConfig(), PLACE, 2, tell=told.append)
    assert pool.place("t0001", CONFIG).engine == "engine1"

    pool.lost("engine1")
    pool.lost("engine1")
    again = pool.move("t0001", CONFIG)
    pool.tick()

    assert again.engine == "engine2"
    assert pool.engines == ("engine2", "engine3")
    assert pool.free() == 0
    cluster.answers["engine3.state"] = {}
    pool.tick()
    assert pool.free() == 1
    assert told == ["engine1 was lost, another takes its place", "engine3 is up"]


def test_an_engine_that_was_only_out_of_reach_leaves_its_room_to_the_next(
    cluster: FakeCluster,
) -> None:
    clock = Clock()
    pool = EnginePool(SearchConfig(), PLACE, 1, clock=clock)

    pool.lost("engine1")
    pool.tick()
    assert cluster.calls == []  # a kill would hide from the clients why it was lost
    clock.now = END_SECONDS
    pool.tick()
    pool.tick()

    assert cluster.calls == [("killed",)]
    assert pool.engines == ("engine2",)


def test_an_engine_that_is_lost_is_missed_without_a_trial_in_it(cluster: FakeCluster) -> None:
    pool = EnginePool(SearchConfig(), PLACE, 2)

    cluster.answers["engine2.until_lost"] = RuntimeError("gone")
    pool.tick()

    assert pool.engines == ("engine1", "engine3")


@pytest.mark.usefixtures("cluster")
def test_a_trial_of_the_only_engine_goes_to_the_one_that_takes_its_place() -> None:
    pool = EnginePool(SearchConfig(), PLACE, 1)
    pool.place("t0001", CONFIG)

    pool.lost("engine1")

    assert pool.move("t0001", CONFIG).engine == "engine2"


@pytest.mark.usefixtures("cluster")
def test_an_engine_that_never_comes_up_is_not_followed_at_once_by_the_next() -> None:
    clock = Clock()
    pool = EnginePool(SearchConfig(), PLACE, 2, clock=clock)
    pool.lost("engine1")
    pool.tick()
    pool.lost("engine3")

    pool.tick()
    assert pool.engines == ("engine2",)
    clock.now += engine_pool.CALM_SECONDS
    pool.tick()
    assert pool.engines == ("engine2", "engine4")


def test_machines_that_join_get_engines(cluster: FakeCluster) -> None:
    clock, room = Clock(), [1]
    pool = EnginePool(SearchConfig(), PLACE, 1, room=lambda: room[0], clock=clock)
    cluster.answers["engine1.state"] = {}
    pool.tick()
    assert pool.engines == ("engine1",)

    room[0] = 3
    clock.now += engine_pool.LOOK_SECONDS
    pool.tick()

    assert pool.engines == ("engine1", "engine2", "engine3")
    assert pool.free() == 1  # the new ones are not up yet


def test_what_was_measured_is_handed_on_once_and_decides_the_lanes(cluster: FakeCluster) -> None:
    pool = EnginePool(SearchConfig(), PLACE, 2)
    pool.measure([CONFIG], 3, 4)

    assert pool.tick() is None
    cluster.answers["engine1.calibrate"] = {"lanes": 4, "table": []}
    assert pool.tick() == {"lanes": 4, "table": []}
    assert pool.tick() is None
    assert pool.total == 8


LOST = (
    "pid: 28865 The actor is dead. Worker exit type: SYSTEM_ERROR Worker exit detail: It is gone."
)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("no such\ncorpus"), "no such corpus"),
        (RayActorError("28865", LOST), "lost worker: It is gone."),
    ],
)
def test_a_search_goes_on_with_one_lane_where_nothing_could_be_measured(
    error: Exception, reason: str, cluster: FakeCluster
) -> None:
    pool = EnginePool(SearchConfig(), PLACE, 2)
    pool.measure([CONFIG], 3, 4)
    cluster.answers["engine1.calibrate"] = error

    found = pool.tick()

    assert found is not None
    assert found["failure"].endswith(f"1 each: {reason}")
    assert pool.each == 1


def test_engines_are_ended_with_the_search(cluster: FakeCluster) -> None:
    EnginePool(SearchConfig(), PLACE, 3).close()

    assert cluster.calls == [("killed",)] * 3


def test_an_engine_that_waits_for_room_gets_no_trial_and_the_user_is_told(
    cluster: FakeCluster,
) -> None:
    clock, told = Clock(), list[str]()
    pool = EnginePool(SearchConfig(), PLACE, 2, room=lambda: 2, tell=told.append, clock=clock)
    assert pool.free() == 0

    clock.now += engine_pool.PATIENT_SECONDS
    assert pool.free() == 0  # as Tune asks, which does nothing else meanwhile
    assert told == ["no engine is up yet: what the cluster has may be in use by others"]
    cluster.answers["engine2.state"] = {}
    pool.tick()
    assert pool.free() == 1
