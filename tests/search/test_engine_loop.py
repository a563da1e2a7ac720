"""An engine's loop: epochs as results, failures as results, weights of leaders, lanes freed."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors import SafetensorError
from safetensors.torch import load_file

from mtl_core.data.config import MlmConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.own_texts import texts_path
from mtl_core.data.readers import read_corpus
from mtl_core.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from mtl_core.training.config import TrialConfig
from mtl_core.training.engine import Engine
from mtl_core.training.mlm import WarmUp
from mtl_core.training.results import EpochResult, NoRoom
from mtl_core.training.trainer import Trainer
from search.dev_rows import unpack_dev
from search.engine_loop import EngineLoop
from search.failure import EngineLost
from search.lane_file import LaneFile
from search.space import Space, load_space

SANITY = Path(__file__).resolve().parents[2] / "spaces" / "sanity.yaml"
SECONDS = 60  # after which a test that hangs is given up

Loop = Callable[..., EngineLoop]


@pytest.fixture(scope="module")
def space() -> Space:
    return load_space(SANITY)


@pytest.fixture(scope="module")
def encoded(space: Space, tmp_path_factory: pytest.TempPathFactory) -> EncodedCorpus:
    return encode(read_corpus(space.data), space.data, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def loop(encoded: EncodedCorpus, tmp_path: Path) -> Iterator[EngineLoop]:
    """A loop that has ended its lanes when the test is over."""
    made = EngineLoop(lambda: Engine(encoded), tmp_path, on_broken=lambda: None)
    yield made
    made.order(lambda: [made._close(name) for name in list(made._seats)]).result(SECONDS)


def propose(space: Space, trial: str = "t0001", **values: Any) -> dict[str, Any]:
    config = space.configure(dict(space.points[0])).as_dict()
    for key, value in values.items():
        section, _, name = key.partition(".")
        config[section][name] = value
    return {"trial": trial, "seed": 5, "leaders": {}, "config": config}


def trained(encoded: EncodedCorpus, proposal: dict[str, Any]) -> list[EpochResult]:
    return list(Trainer(encoded, TrialConfig.from_dict(proposal["config"]), seed=5).epochs())


def all_epochs(loop: EngineLoop, lane: str) -> list[dict[str, Any]]:
    results = [loop.epoch(lane).result(SECONDS)]
    while not results[-1]["done"]:
        results.append(loop.epoch(lane).result(SECONDS))
    return results


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_result_is_an_epoch_of_the_trainer(
    loop: EngineLoop, space: Space, encoded: EncodedCorpus
) -> None:
    proposal = propose(space)
    expected = list(Trainer(encoded, TrialConfig.from_dict(proposal["config"]), seed=5).epochs())

    loop.open("a", proposal).result(SECONDS)
    first, second = all_epochs(loop, "a")

    assert [first["average"], second["average"]] == [epoch.average for epoch in expected]
    assert (first["epoch"], first["done"], first["ended"]) == (1, False, None)
    assert (second["epoch"], second["done"], second["ended"]) == (2, True, "epochs")
    assert "average" in first["snapshots"]
    scores = [rows.mean() for rows in unpack_dev(second["rows"])]
    assert scores == pytest.approx(list(expected[1].scores.values()))


def test_the_weights_of_a_leading_epoch_are_those_of_its_end(
    loop: EngineLoop, space: Space, encoded: EncodedCorpus, tmp_path: Path
) -> None:
    proposal = propose(space)
    trainer = Trainer(encoded, TrialConfig.from_dict(proposal["config"]), seed=5)
    next(trainer.epochs())

    loop.open("a", proposal)
    loop.epoch("a").result(SECONDS)
    weights = load_file(tmp_path / "models" / "t0001-e1.safetensors")

    parameters = dict(trainer.model.named_parameters())
    assert weights.keys() == parameters.keys()
    assert all((weights[name] == parameters[name]).all() for name in weights)


def test_a_warm_up_is_seen_to_move_though_it_is_part_of_one_order(
    space: Space, encoded: EncodedCorpus, tmp_path: Path
) -> None:
    texts = texts_path(read_corpus(space.data), encoded)
    warm_up = WarmUp(encoded, texts, MlmConfig(steps=400, batch_size=16))
    loop = EngineLoop(lambda: Engine(encoded, warm_up=warm_up), tmp_path, on_broken=lambda: None)
    loop.count_lanes().result(SECONDS)
    before = loop.pulse()["steps"]

    opened = loop.open("a", propose(space, **{"encoder.mlm_warm_up": True}))

    wait_until(lambda: loop.pulse()["steps"] > before + 20)
    assert not opened.done()
    opened.result(SECONDS)
    assert loop.pulse()["steps"] >= before + 400
    loop.close("a").result(SECONDS)


def told(results: list[dict[str, Any]]) -> list[tuple[int, float, str]]:
    return [(result["epoch"], result["loss"], result["rows"]) for result in results]


def test_a_trial_that_lost_its_engine_goes_on_after_its_last_epoch_in_another(
    loop: EngineLoop, space: Space, encoded: EncodedCorpus, tmp_path: Path
) -> None:
    proposal = propose(space, **{"training.epochs": 4})
    loop.open("undisturbed", propose(space, "t0009", **{"training.epochs": 4}))
    undisturbed = all_epochs(loop, "undisturbed")
    loop.open("a", proposal)
    first = [loop.epoch("a").result(SECONDS) for _ in range(2)]

    other = EngineLoop(lambda: Engine(encoded), tmp_path, on_broken=lambda: None)
    other.open("b", proposal)
    rest = all_epochs(other, "b")

    assert rest[0]["notes"] == ["t0001 goes on after epoch 2"]
    assert told(rest[:1]) == told(first[1:])  # told again, not trained again
    assert told([first[0], *rest]) == told(undisturbed)
    assert {path.name for path in (tmp_path / "models").glob("t0001*")} == {
        path.name.replace("t0009", "t0001") for path in (tmp_path / "models").glob("t0009*")
    }


def test_a_lane_that_is_given_up_in_the_middle_of_an_epoch_is_saved_there(
    loop: EngineLoop, space: Space, encoded: EncodedCorpus, tmp_path: Path
) -> None:
    proposal = propose(space, **{"training.epochs": 3})
    undisturbed = [result.loss for result in trained(encoded, proposal)]
    loop.open("a", proposal)
    loop.epoch("a").result(SECONDS)
    wait_until(lambda: loop._seats["a"].lane.position["step_in_epoch"] > 0)  # type: ignore[union-attr]
    loop.close("a", keep=True).result(SECONDS)

    saved = read_checkpoint(tmp_path / "lanes" / "t0001.safetensors")
    other = EngineLoop(lambda: Engine(encoded), tmp_path, on_broken=lambda: None)
    other.open("b", proposal)

    assert saved.about["last"]["epoch"] == 1
    assert [result["loss"] for result in all_epochs(other, "b")] == undisturbed


@pytest.mark.parametrize("damage", ["cut", "flipped", "of another trial"])
def test_a_damaged_file_of_a_lane_is_named_and_the_trial_begins_anew(
    loop: EngineLoop, space: Space, encoded: EncodedCorpus, tmp_path: Path, damage: str
) -> None:
    proposal = propose(space, **{"training.epochs": 3})
    loop.open("a", propose(space, **{"training.epochs": 4}) if "other" in damage else proposal)
    loop.epoch("a").result(SECONDS)
    loop.close("a").result(SECONDS)
    path = tmp_path / "lanes" / "t0001.safetensors"
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[-5] ^= 4
        path.write_bytes(content)

    other = EngineLoop(lambda: Engine(encoded), tmp_path, on_broken=lambda: None)
    other.open("b", proposal)
    results = all_epochs(other, "b")

    assert [result["epoch"] for result in results] == [1, 2, 3]
    assert f"t0001 begins anew, where it was saved is of no use: {path}" in results[0]["notes"][0]


def test_a_file_of_a_lane_that_lacks_a_tensor_is_of_no_use_either(
    loop: EngineLoop, space: Space, tmp_path: Path
) -> None:
    loop.open("a", propose(space))
    loop.epoch("a").result(SECONDS)
    loop.close("a").result(SECONDS)
    path = tmp_path / "lanes" / "t0001.safetensors"
    saved = read_checkpoint(path)
    del saved.tensors["model/head_bias"]
    write_checkpoint(path, saved)

    loop.open("b", propose(space))
    results = all_epochs(loop, "b")

    assert [result["epoch"] for result in results] == [1, 2]
    assert "of no use: checkpoint: has no model/head_bias" in results[0]["notes"][0]
    assert loop.count_lanes().result(SECONDS) == 0


def test_a_lane_is_held_at_a_result_that_nobody_asked_for_and_saves_nothing_of_it(
    loop: EngineLoop, space: Space, tmp_path: Path
) -> None:
    loop.open("a", propose(space, **{"training.epochs": 3}))
    loop.epoch("a").result(SECONDS)
    seat = loop._seats["a"]

    wait_until(lambda: seat.outcome is not None)

    assert seat.lane is not None
    assert (seat.lane.held, seat.lane.epoch) == (True, 2)
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["t0001-e1.safetensors"]
    assert loop.epoch("a").result(SECONDS)["epoch"] == 2
    assert loop.epoch("a").result(SECONDS)["epoch"] == 3


def test_trials_of_all_structures_beside_each_other_are_what_they_are_alone(
    loop: EngineLoop, space: Space
) -> None:
    chosen = [
        {"sharing.structure": "single_task", "sharing.divergence_depth": None},
        {"sharing.structure": "stack_pooling", "sharing.divergence_depth": 1},
        {"sharing.structure": "layerwise_implicit", "sharing.divergence_depth": 0},
        {"sharing.structure": "stack_pooling", "weighting.method": "uncertainty"},
    ]
    proposals = {f"t{n}": propose(space, f"t{n}", **values) for n, values in enumerate(chosen)}
    alone = {}
    for name, proposal in proposals.items():
        loop.open(f"{name} alone", proposal)
        alone[name] = all_epochs(loop, f"{name} alone")

    for name, proposal in proposals.items():
        loop.open(name, proposal)
    beside = {name: all_epochs(loop, name) for name in proposals}

    for name in proposals:
        for key in ("average", "loss"):
            expected = [epoch[key] for epoch in alone[name]]
            assert [epoch[key] for epoch in beside[name]] == pytest.approx(expected, rel=1e-4)


def test_a_closed_lane_is_free_at_once_and_its_waiter_is_told(
    loop: EngineLoop, space: Space
) -> None:
    loop.open("a", propose(space)).result(SECONDS)
    loop.order(lambda: setattr(loop._seats["a"].lane, "held", True)).result(SECONDS)
    asked = loop.epoch("a")

    loop.close("a").result(SECONDS)
    loop.close("a").result(SECONDS)

    with pytest.raises(EngineLost):
        asked.result(SECONDS)
    assert loop.order(lambda: loop._warm().lanes).result(SECONDS) == ()
    with pytest.raises(EngineLost, match="begun anew"):
        loop.epoch("a").result(SECONDS)


def test_a_diverging_trial_does_not_touch_its_neighbour(loop: EngineLoop, space: Space) -> None:
    sound, mad = propose(space), propose(space, "t0002", **{"training.learning_rate": 1e30})
    loop.open("alone", sound)
    alone = all_epochs(loop, "alone")

    loop.open("beside", sound)
    loop.open("mad", mad)
    failed, beside = all_epochs(loop, "mad")[-1], all_epochs(loop, "beside")

    assert failed["failure"]["kind"] == "diverged"
    assert [epoch["average"] for epoch in beside] == [epoch["average"] for epoch in alone]


def test_a_configuration_that_cannot_be_built_is_a_failure_and_the_loop_lives(
    loop: EngineLoop, space: Space
) -> None:
    broken = propose(space)
    broken["config"]["encoder"] = {"n_layers": 0}

    loop.open("broken", broken)
    result = loop.epoch("broken").result(SECONDS)

    assert result["done"]
    assert result["failure"]["kind"] == "error"
    assert "n_layers" in result["failure"]["reason"]
    loop.open("sound", propose(space))
    assert loop.epoch("sound").result(SECONDS)["epoch"] == 1


def test_an_engine_that_cannot_be_built_is_a_failure_of_each_trial(
    space: Space, tmp_path: Path
) -> None:
    def build() -> Engine:
        raise FileNotFoundError("/nowhere/corpus.arrow")

    loop = EngineLoop(build, tmp_path, on_broken=lambda: None)
    for lane in ("a", "b"):
        loop.open(lane, propose(space))
        failure = loop.epoch(lane).result(SECONDS)["failure"]
        assert failure["kind"] == "error"
        assert "/nowhere/corpus.arrow" in failure["reason"]


def test_an_epoch_behind_the_leaders_leaves_no_weights(
    loop: EngineLoop, space: Space, encoded: EncodedCorpus, tmp_path: Path
) -> None:
    goals = ["average", "structure:stack_pooling", *(f"task:{name}" for name in encoded.names)]

    loop.open("a", propose(space) | {"leaders": dict.fromkeys(goals, 1.0)})

    assert loop.epoch("a").result(SECONDS)["snapshots"] == []
    assert not (tmp_path / "models").exists()


def test_a_full_disk_costs_the_weights_and_not_the_trial(
    loop: EngineLoop, space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("mtl_core.tensor_file.save_file", full)
    loop.open("a", propose(space))
    result = loop.epoch("a").result(SECONDS)

    assert result["epoch"] == 1
    assert "failure" not in result
    assert not list((tmp_path / "models").iterdir())


@pytest.mark.parametrize("overdue", [False, True])
def test_a_lane_that_there_is_no_memory_to_save_goes_on(
    overdue: bool,
    loop: EngineLoop,
    space: Space,
    encoded: EncodedCorpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")

    monkeypatch.setattr(Engine, "checkpoint", fail)
    monkeypatch.setattr(LaneFile, "is_overdue", property(lambda _: overdue))
    proposal = propose(space)
    loop.open("a", proposal)

    results = all_epochs(loop, "a")

    assert [result["loss"] for result in results] == [r.loss for r in trained(encoded, proposal)]
    assert not (tmp_path / "lanes").exists()


def test_a_lane_is_free_even_if_it_cannot_be_saved(
    loop: EngineLoop, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such thing")

    def close() -> None:
        loop._seats["a"].outcome = None  # so that there is something to save
        loop._close("a", keep=True)

    loop.open("a", propose(space))
    loop.open("b", propose(space, "t0002"))
    loop.epoch("b").result(SECONDS)
    with monkeypatch.context() as patched:
        patched.setattr(Engine, "checkpoint", fail)
        with pytest.raises(ValueError, match="no such thing"):
            loop.order(close).result(SECONDS)

    assert loop.count_lanes().result(SECONDS) == 1
    assert len(all_epochs(loop, "b")) == 1


def test_a_lane_that_no_trial_has_is_closed_at_its_first_result(
    loop: EngineLoop, space: Space
) -> None:
    proposal = propose(space)
    config = TrialConfig.from_dict(proposal["config"])
    loop.order(lambda: loop._warm().open(config, 9, keep_best=False)).result(SECONDS)
    loop.open("a", proposal)

    assert len(all_epochs(loop, "a")) == 2
    assert loop.count_lanes().result(SECONDS) == 0


class TinyEngine:
    """Has room for one lane; an epoch is a step, and what a step does can be chosen."""

    def __init__(self) -> None:
        self.lanes: tuple[Any, ...] = ()
        self.notes: list[str] = []
        self.fault: Exception | None = None
        self._results: list[tuple[Any, EpochResult]] = []

    def open(self, config: TrialConfig, seed: int, *, keep_best: bool) -> Any:  # noqa: ARG002
        assert not keep_best
        if self.lanes:
            raise NoRoom(2, 1)
        self.lanes = (SimpleNamespace(held=False, epoch=0, failure=None, ended=None),)
        return self.lanes[0]

    def step(self) -> None:
        if self.fault is not None:
            raise self.fault
        for lane in (lane for lane in self.lanes if not lane.held):
            lane.epoch += 1
            scores = {"losses": {}, "scores": {}, "average": float("nan"), "loss": 1.0}
            ended = "epochs" if lane.epoch == 2 else None
            rates = {"tokens_per_second": 1.0, "seconds": 0.0}
            self._results.append(
                (lane, EpochResult(epoch=lane.epoch, ended=ended, **scores, **rates))  # type: ignore[arg-type]
            )

    def results(self) -> list[tuple[Any, EpochResult]]:
        results, self._results = self._results, []
        return results

    def checkpoint(self, lane: Any) -> Checkpoint:
        assert lane in self.lanes
        return Checkpoint({}, {})

    def close(self, lane: Any) -> None:
        assert lane in self.lanes
        self.lanes = ()


def test_a_trial_without_room_waits_for_the_lane_of_one_that_ends(
    space: Space, tmp_path: Path
) -> None:
    loop = EngineLoop(TinyEngine, tmp_path, on_broken=lambda: None)  # type: ignore[arg-type, return-value]
    loop.open("a", propose(space))
    loop.open("b", propose(space, "t0002"))
    of_b = loop.epoch("b")

    assert not of_b.done()
    assert len(all_epochs(loop, "a")) == 2
    assert of_b.result(SECONDS)["epoch"] == 1


class SmallEngine(TinyEngine):
    """Has room for two lanes 16 wide, or for one that is wider."""

    def open(self, config: TrialConfig, seed: int, *, keep_best: bool) -> Any:  # noqa: ARG002
        lane = SimpleNamespace(held=False, epoch=0, failure=None, ended=None)
        lane.size = 1 if config.encoder.d_model == 16 else 2
        if sum(other.size for other in self.lanes) + lane.size > 2:
            raise NoRoom(lane.size, 1)
        self.lanes = (*self.lanes, lane)
        return lane

    def close(self, lane: Any) -> None:
        self.lanes = tuple(other for other in self.lanes if other is not lane)


@pytest.mark.parametrize("gives_up", [False, True])
def test_a_large_trial_that_waits_for_room_is_not_overtaken_by_small_ones(
    gives_up: bool, space: Space, tmp_path: Path
) -> None:
    loop = EngineLoop(SmallEngine, tmp_path, on_broken=lambda: None)  # type: ignore[arg-type, return-value]
    for name in ("a", "b"):
        loop.open(name, propose(space, name))
    loop.open("large", propose(space, "large", **{"encoder.d_model": 32}))
    all_epochs(loop, "a")
    loop.open("c", propose(space, "c"))
    of_large, of_c = loop.epoch("large"), loop.epoch("c")
    loop.order(lambda: None).result(SECONDS)
    assert not of_c.done()

    if gives_up:
        loop.close("large")
    else:
        all_epochs(loop, "b")
        assert of_large.result(SECONDS)["epoch"] == 1
        assert not of_c.done()
        all_epochs(loop, "large")

    assert of_c.result(SECONDS)["epoch"] == 1


def test_a_lane_that_no_trial_has_leaves_its_room_to_one_that_waits(
    space: Space, tmp_path: Path
) -> None:
    engine = TinyEngine()
    loop = EngineLoop(lambda: engine, tmp_path, on_broken=lambda: None)  # type: ignore[arg-type, return-value]
    config = TrialConfig.from_dict(propose(space)["config"])
    stray = loop.order(lambda: engine.open(config, 9, keep_best=False)).result(SECONDS)
    loop.open("a", propose(space)).result(SECONDS)

    loop.order(lambda: loop._note(stray, ValueError("no such trial"))).result(SECONDS)

    assert len(all_epochs(loop, "a")) == 2


def test_a_trial_that_does_not_fit_even_alone_has_failed_for_memory(
    space: Space, tmp_path: Path
) -> None:
    class Full(TinyEngine):
        def open(self, config: TrialConfig, seed: int, *, keep_best: bool) -> Any:  # noqa: ARG002
            raise NoRoom(2, 1)

    loop = EngineLoop(Full, tmp_path, on_broken=lambda: None)  # type: ignore[arg-type, return-value]
    loop.open("a", propose(space))

    assert loop.epoch("a").result(SECONDS)["failure"]["kind"] == "memory"


def test_what_the_engine_notes_goes_along_with_the_next_result_once(
    space: Space, tmp_path: Path
) -> None:
    engine = TinyEngine()
    engine.notes.append("no room for 4 lanes: 2 at a time from now on")
    loop = EngineLoop(lambda: engine, tmp_path, on_broken=lambda: None)  # type: ignore[arg-type, return-value]
    loop.open("a", propose(space))

    first, second = all_epochs(loop, "a")

    assert first["notes"] == ["no room for 4 lanes: 2 at a time from now on"]
    assert "notes" not in second


def test_an_engine_that_fails_itself_is_lost_for_all_its_trials(
    space: Space, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    engine, broken = TinyEngine(), []
    engine.fault = RuntimeError("CUDA error: device-side assert triggered")
    loop = EngineLoop(lambda: engine, tmp_path, on_broken=lambda: broken.append(1))  # type: ignore[arg-type, return-value]
    with_waiter = loop.order(lambda: loop._open("a", propose(space)))
    asked = loop.epoch("a")

    with_waiter.result(SECONDS)
    with pytest.raises(EngineLost, match="device-side assert"):
        asked.result(SECONDS)
    wait_until(lambda: broken == [1])
    assert "device-side assert" in capfd.readouterr().err


@pytest.mark.parametrize("method", ["results", "close"])
def test_an_engine_that_fails_beside_its_steps_is_lost_too(
    method: str, space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    broken: list[int] = []
    loop = EngineLoop(TinyEngine, tmp_path, on_broken=lambda: broken.append(1))  # type: ignore[arg-type, return-value]
    monkeypatch.setattr(TinyEngine, method, fail)
    loop.open("a", propose(space))

    with pytest.raises(EngineLost, match="device-side assert"):
        all_epochs(loop, "a")
    wait_until(lambda: broken == [1])
