"""Where memory runs out, lanes wait for a place, and none is lost."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.training import evaluation, updates
from mtl_core.training import lane as lane_module
from mtl_core.training.config import TrialConfig
from mtl_core.training.device_memory import is_memory_error
from mtl_core.training.engine import Engine
from mtl_core.training.lane import Lane
from mtl_core.training.places import Places
from mtl_core.training.results import EpochResult, NoRoom

Make = Callable[..., TrialConfig]
ERRORS = {
    "memory": MemoryError("none left"),
    "cpu": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"),
    "gpu": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"),
    "bad_alloc": RuntimeError("std::bad_alloc"),
}


class FailAt:
    """Stands before a function and raises in the calls of these numbers, from 0."""

    def __init__(self, function: Callable[..., Any], calls: set[int], error: Exception) -> None:
        self.function, self.calls, self.error = function, calls, error
        self.count = 0

    def __call__(self, *args: Any, **more: Any) -> Any:
        self.count += 1
        if self.count - 1 in self.calls:
            raise self.error
        return self.function(*args, **more)


def open_lanes(engine: Engine, config: TrialConfig, count: int) -> list[Lane]:
    return [engine.open(config, seed) for seed in range(count)]


def run_to_the_end(engine: Engine, lanes: list[Lane]) -> dict[Lane, list[EpochResult]]:
    results: dict[Lane, list[EpochResult]] = {lane: [] for lane in lanes}
    for _ in range(10_000):
        if not any(lane.wanted for lane in lanes):
            return results
        engine.step()
        for lane, result in engine.results():
            assert isinstance(result, EpochResult), result
            results[lane].append(result)
    raise AssertionError("no end")


def assert_as_without_failures(corpus: EncodedCorpus, found: dict[Lane, list[EpochResult]]) -> None:
    """Check that the lanes came to what each comes to in an engine of its own."""
    for lane, results in found.items():
        alone = Engine(corpus)
        by_itself = alone.open(lane.config, lane.seed)
        wanted = run_to_the_end(alone, [by_itself])[by_itself]
        assert lane.updater.steps_done == by_itself.updater.steps_done
        assert [r.losses for r in results] == [pytest.approx(r.losses, rel=1e-4) for r in wanted]
        for name, counts in by_itself.updater.state_dict().items():
            if "/steps/" in name:
                assert torch.equal(lane.updater.state_dict()[name], counts)


@pytest.fixture(params=["forward", "backward", "room", "update", "evaluation"])
def fail_at(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return what makes the calls of one stage fail."""
    place, name = {
        "forward": (updates, "compute_logits"),
        "backward": (torch.autograd, "backward"),
        "room": (updates, "_look_for_room"),
        "update": (updates, "move_together"),
        "evaluation": (evaluation, "compute_logits"),
    }[request.param]

    def fail(calls: set[int], error: Exception) -> FailAt:
        failing = FailAt(getattr(place, name), calls, error)
        wrapper = lambda *args, **more: failing(*args, **more)  # noqa: E731 - bound as a method
        monkeypatch.setattr(place, name, wrapper)
        return failing

    return fail


@pytest.mark.parametrize("kind", ["memory", "cpu"])
def test_a_lack_of_memory_halves_the_lanes_and_loses_none(
    kind: str, fail_at: Any, encoded: EncodedCorpus, make_config: Make
) -> None:
    config = make_config(training={"epochs": 1}, weighting={"method": "uncertainty"})
    engine = Engine(encoded)
    lanes = open_lanes(engine, config, 4)

    failing = fail_at({2}, ERRORS[kind])
    results = run_to_the_end(engine, lanes)

    assert failing.count > 3
    assert engine.notes == ["out of memory with 4 lanes side by side: from now on at most 2"]
    assert [len(of_lane) for of_lane in results.values()] == [1] * 4
    assert_as_without_failures(encoded, results)


@pytest.mark.parametrize("kind", sorted(ERRORS))
def test_a_lack_of_memory_is_known_by_its_words(kind: str) -> None:
    assert is_memory_error(ERRORS[kind])
    assert not is_memory_error(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_memory_error(ValueError("out of memory"))


def test_lanes_that_had_moved_are_not_moved_again(
    encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(encoded)
    lanes = open_lanes(engine, make_config(), 4)
    move = FailAt(updates.move_together, {6}, ERRORS["memory"])  # the third of the second step
    monkeypatch.setattr(updates, "move_together", move)

    engine.step()
    engine.step()

    assert [lane.updater.steps_done for lane in lanes] == [2, 2, 2, 1]
    assert engine.notes == ["out of memory with 4 lanes side by side: from now on at most 2"]
    assert [lane.parked for lane in lanes] == [False, True, False, True]


def test_an_update_that_breaks_off_half_way_costs_its_lane_alone(
    encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(encoded)
    lanes = open_lanes(engine, make_config(), 3)
    move, calls = updates.move_together, []

    def moves_and_fails(*args: Any, **more: Any) -> None:
        move(*args, **more)
        calls.append(1)
        if len(calls) == 2:
            raise ERRORS["memory"]

    monkeypatch.setattr(updates, "move_together", moves_and_fails)
    for _ in range(3):
        engine.step()

    assert engine.results() == [(lanes[1], ERRORS["memory"])]
    assert engine.notes == []
    assert [lane.updater.steps_done for lane in lanes] == [3, 0, 3]


def test_memory_that_runs_out_among_the_last_answers_on_dev_costs_no_lane(
    encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(encoded)
    lanes = open_lanes(engine, make_config(training={"epochs": 1}), 4)
    third_of_last = 4 * (len(engine.around.dev.steps) - 1) + 2
    failing = FailAt(evaluation._answer, {third_of_last}, ERRORS["gpu"])
    monkeypatch.setattr(evaluation, "_answer", lambda *args: failing(*args))

    results = run_to_the_end(engine, lanes)

    assert engine.notes == ["out of memory with 4 lanes side by side: from now on at most 2"]
    assert_as_without_failures(encoded, results)


@pytest.mark.parametrize(
    ("place", "name"),
    [(lane_module, "copy_parameters"), (evaluation.Evaluation, "result")],
    ids=["copies", "result"],
)
def test_memory_that_runs_out_at_the_end_of_an_epoch_costs_no_lane(
    place: Any,
    name: str,
    encoded: EncodedCorpus,
    make_config: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine(encoded)
    lanes = open_lanes(engine, make_config(training={"epochs": 2}), 4)
    failing = FailAt(getattr(place, name), {1}, ERRORS["cpu"])
    monkeypatch.setattr(place, name, lambda *args: failing(*args))

    results = run_to_the_end(engine, lanes)

    assert engine.notes == ["out of memory with 4 lanes side by side: from now on at most 2"]
    assert [len(of_lane) for of_lane in results.values()] == [2] * 4
    assert_as_without_failures(encoded, results)


def test_a_lane_alone_in_its_pass_fails_only_when_all_others_wait(
    encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(encoded)
    lanes = [
        engine.open(make_config(encoder={"d_model": size}, training={"epochs": 1}), size)
        for size in (12, 8)
    ]
    failing = FailAt(updates.compute_logits, {2}, ERRORS["cpu"])
    monkeypatch.setattr(updates, "compute_logits", lambda parts: failing(parts))

    results = run_to_the_end(engine, lanes)

    assert engine.notes == ["out of memory with 2 lanes side by side: from now on at most 1"]
    assert_as_without_failures(encoded, results)


def test_a_lane_that_does_not_fit_alone_gets_the_error(
    fail_at: Any, encoded: EncodedCorpus, make_config: Make
) -> None:
    engine = Engine(encoded)
    lanes = open_lanes(engine, make_config(training={"epochs": 1}), 3)
    fail_at({0, 1}, ERRORS["gpu"])

    results = []
    while any(lane.wanted for lane in lanes):
        engine.step()
        results += engine.results()

    (failed,) = [(lane, result) for lane, result in results if isinstance(result, Exception)]
    assert failed[0] is lanes[0]
    assert type(failed[1]) is MemoryError
    assert "CUDA out of memory" in str(failed[1])
    assert failed[1].__cause__ is ERRORS["gpu"]
    assert engine.notes == [
        "out of memory with 3 lanes side by side: from now on at most 1",
        "one lane did not fit even alone: the others go on as before",
    ]
    assert not any(lane.parked for lane in lanes)
    assert engine.room(make_config()) > 0  # nothing is known to be too much
    assert_as_without_failures(
        encoded, {lane: [r for of, r in results if of is lane] for lane in lanes[1:]}
    )


def test_there_is_no_room_beyond_what_was_halved(
    encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, config = Engine(encoded), make_config()
    lanes = open_lanes(engine, config, 4)
    failing = FailAt(updates.compute_logits, {0}, ERRORS["memory"])
    monkeypatch.setattr(updates, "compute_logits", lambda parts: failing(parts))
    engine.step()

    assert engine.room(config) == 0
    with pytest.raises(NoRoom):
        engine.open(config, 9)
    for lane in lanes[:3]:
        engine.close(lane)

    assert engine.room(config) == 1
    engine.open(config, 9)


def test_a_lane_that_is_held_makes_place_for_one_that_waits(
    encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(encoded)
    lanes = open_lanes(engine, make_config(), 2)
    failing = FailAt(updates.compute_logits, {0}, ERRORS["memory"])
    monkeypatch.setattr(updates, "compute_logits", lambda parts: failing(parts))
    engine.step()
    engine.step()
    assert [lane.updater.steps_done for lane in lanes] == [2, 0]

    lanes[0].held = True
    engine.step()
    lanes[0].held = False
    engine.step()

    assert sorted(lane.updater.steps_done for lane in lanes) == [2, 2]


def test_lanes_of_several_families_are_halved_too(
    encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(encoded)
    sizes = [{"d_model": 12}, {"d_model": 12}, {"d_model": 8}, {"d_model": 8}]
    lanes = [
        engine.open(make_config(encoder=size, training={"epochs": 1}), seed)
        for seed, size in enumerate(sizes)
    ]
    failing = FailAt(updates.compute_logits, {1}, ERRORS["memory"])  # of the second family
    monkeypatch.setattr(updates, "compute_logits", lambda parts: failing(parts))

    results = run_to_the_end(engine, lanes)

    assert engine.notes == ["out of memory with 4 lanes side by side: from now on at most 2"]
    assert_as_without_failures(encoded, results)


def test_another_lane_s_probe_that_finds_no_memory_refuses_the_newcomer(
    encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(encoded)
    engine.open(make_config(), 1)

    def fail(_: object) -> None:
        raise ERRORS["cpu"]

    monkeypatch.setattr(engine, "_measure", fail)

    with pytest.raises(NoRoom):
        engine.open(make_config(), 2)

    assert len(engine.lanes) == 1


class FakeLane:
    """A lane that only says where its tensors are; moving to the GPU fails while it is full."""

    full = False

    def __init__(self) -> None:
        self.wanted, self.parked, self.place = True, False, "cuda"

    def move(self, device: torch.device) -> None:
        if device.type == "cuda" and FakeLane.full:
            self.place = "half way"
            raise ERRORS["gpu"]
        self.place = device.type


def test_parked_lanes_leave_a_gpu_and_come_back() -> None:
    lanes: list[Any] = [FakeLane() for _ in range(4)]
    places = Places(torch.device("cuda"))

    assert places.halve(lanes, lanes) == (4, 2)
    assert [lane.place for lane in lanes] == ["cuda", "cuda", "cpu", "cpu"]
    assert places.choose(lanes) == lanes[:2]

    lanes[1].wanted = False  # held, or ended
    assert places.choose(lanes) == [lanes[0], lanes[2]]
    assert [lane.place for lane in lanes] == ["cuda", "cpu", "cuda", "cpu"]

    lanes[1].wanted = True  # it waits for its turn now
    assert places.choose(lanes) == [lanes[0], lanes[2]]


def test_a_lane_that_cannot_come_back_yet_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes: list[Any] = [FakeLane() for _ in range(2)]
    places = Places(torch.device("cuda"))
    places.halve(lanes, lanes)
    lanes[0].wanted = False

    monkeypatch.setattr(FakeLane, "full", True)
    assert places.choose(lanes) == []
    assert (lanes[1].parked, lanes[1].place) == (True, "cpu")

    monkeypatch.setattr(FakeLane, "full", False)
    assert places.choose(lanes) == [lanes[1]]


def test_a_lane_that_moves_goes_on_as_it_was(encoded: EncodedCorpus, make_config: Make) -> None:
    config = make_config(weighting={"method": "uncertainty"})
    engine, untouched = Engine(encoded), Engine(encoded)
    lane, twin = engine.open(config, 1), untouched.open(config, 1)
    for number in range(45):
        if number in (3, 18, 19):  # among the steps, before and among the passes of dev
            lane.move(torch.device("cpu"))
        engine.step()
        untouched.step()
    run_to_the_end(engine, [lane])
    run_to_the_end(untouched, [twin])

    wanted = untouched.checkpoint(twin).tensors
    found = engine.checkpoint(lane).tensors
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


SCRIPT = """
import resource, sys
from pathlib import Path
import torch
from mtl_core.data.encoded import open_encoded
from mtl_core.training.config import TrialConfig
from mtl_core.training.engine import Engine
from mtl_core.training.memory import measure_pass
from mtl_core.training.results import EpochResult

torch.set_num_threads(1)
corpus = open_encoded(Path(sys.argv[1]))
sizes = dict(n_layers=2, d_model=128, n_heads=4, d_ff=512, d_word=64, precision="float32")
config = TrialConfig.from_dict(dict(
    encoder=sizes, batches=dict(batch_size=60, bucketing=False), training=dict(epochs=1)))
engine = Engine(corpus)
lanes = [engine.open(config, seed, keep_best=False) for seed in range(8)]
for lane in lanes[1:]:
    lane.held = True
engine.step()  # what is loaded late is loaded
for lane in lanes[1:]:
    lane.held = False
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
one = max(measure_pass(lane, lane.steps[0]) for lane in lanes)
resource.setrlimit(resource.RLIMIT_AS, (size + 2 * one, resource.RLIM_INFINITY))
results = []
while any(lane.wanted for lane in lanes):
    engine.step()
    results += engine.results()
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert all(isinstance(result, EpochResult) for _, result in results), results
for lane in lanes:
    print(lane.seed, *(result.loss for of, result in results if of is lane))
print(engine.notes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is Linux's")
def test_a_real_limit_of_memory_halves_the_lanes(encoded: EncodedCorpus) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(encoded.path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    *lanes, notes = done.stdout.splitlines()
    assert [len(line.split()) for line in lanes] == [2] * 8
    assert "out of memory with 8 lanes side by side: from now on at most 4" in notes, notes
