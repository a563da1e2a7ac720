"""The engine moves the right lanes, and what goes wrong with one lane is its own result."""

import json
import math
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from mixed_trials import mixed_trials
from torch import Tensor

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.errors import ConfigError
from mtl_core.training.config import TrialConfig
from mtl_core.training.engine import Engine
from mtl_core.training.lane import Lane
from mtl_core.training.results import Diverged, EpochResult, NoRoom
from mtl_core.weighting.methods import METHODS
from mtl_core.weighting.task_weighting import StepLosses, TaskWeighting

Make = Callable[..., TrialConfig]


def steps_done(*lanes: Lane) -> list[int]:
    return [lane.updater.steps_done for lane in lanes]


def assert_as_alone(engine: Engine, lane: Lane, alone: Engine, by_itself: Lane) -> None:
    """Check that both are at the same step with the same losses up to there."""
    found, wanted = (e.checkpoint(of) for e, of in ((engine, lane), (alone, by_itself)))
    assert found.about["position"] == wanted.about["position"]
    assert found.about["losses"] == pytest.approx(wanted.about["losses"], rel=1e-4)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in found.tensors.values())


def finish(engine: Engine, *lanes: Lane) -> list[tuple[Lane, object]]:
    results: list[tuple[Lane, object]] = []
    while any(lane.wanted for lane in lanes):
        engine.step()
        results += engine.results()
    return results


def test_a_step_moves_every_lane_that_is_not_held(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    engine = Engine(encoded)
    first, second = (engine.open(make_config(), seed) for seed in (1, 2))
    second.held = True
    engine.step()
    assert steps_done(first, second) == [1, 0]

    second.held = False
    third = engine.open(make_config(encoder={"d_model": 8}), 3)  # of another family
    engine.step()

    assert steps_done(first, second, third) == [2, 1, 1]
    assert engine.lanes == (first, second, third)


def test_results_come_once_and_in_order(encoded: EncodedCorpus, make_config: Make) -> None:
    engine = Engine(encoded)
    short = engine.open(make_config(batches={"batch_size": 30}), 1)
    long = engine.open(make_config(), 2)

    found = finish(engine, short, long)

    assert [result.epoch for lane, result in found if lane is short] == [1, 2, 3, 4]  # type: ignore[attr-defined]
    assert [result.epoch for lane, result in found if lane is long] == [1, 2, 3, 4]  # type: ignore[attr-defined]
    assert found[0][0] is short
    assert found[-1][0] is long
    assert found[-1][1].ended == "epochs"  # type: ignore[attr-defined]
    assert engine.results() == []
    engine.step()
    assert engine.results() == []


def test_an_engine_without_lanes_takes_steps(encoded: EncodedCorpus) -> None:
    engine = Engine(encoded)

    engine.step()

    assert engine.results() == []


@pytest.mark.parametrize("structure", ["stack_pooling", "layerwise_explicit"])
@pytest.mark.parametrize("regime", ["alternating", "joint"])
def test_weights_that_are_no_numbers_reach_no_other_lane(
    regime: str, structure: str, encoded: EncodedCorpus, make_config: Make
) -> None:
    sound = make_config(sharing={"structure": structure}, batches={"regime": regime})
    alone = Engine(encoded)
    by_itself = alone.open(sound, 5)
    for _ in range(6):
        alone.step()
    engine = Engine(encoded)
    ill, well, ill_too = (engine.open(sound, seed) for seed in (4, 5, 6))
    for lane, value in ((ill, math.nan), (ill_too, math.inf)):
        with torch.no_grad():
            for parameter in lane.model.parameters():
                parameter.fill_(value)

    for _ in range(6):
        engine.step()

    assert [(lane, type(result)) for lane, result in engine.results()] == [
        (ill, Diverged),
        (ill_too, Diverged),
    ]
    assert isinstance(ill.failure, Diverged)
    assert steps_done(ill, well, ill_too) == [0, 6, 0]
    assert_as_alone(engine, well, alone, by_itself)


def test_gradients_that_are_no_numbers_reach_no_other_lane(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    engine, alone = Engine(encoded), Engine(encoded)
    ill, well = (engine.open(make_config(), seed) for seed in (4, 5))
    by_itself = alone.open(make_config(), 5)
    with torch.no_grad():  # a finite loss of infinite slope: relu(-huge) is 0, its weights overflow
        ill.model.get_parameter("layers.1.down_weight").fill_(3e38)
        ill.model.get_parameter("layers.1.up_bias").fill_(-1e30)
        ill.model.get_parameter("layers.1.down_bias").fill_(3e38)

    for _ in range(3):
        engine.step()
        alone.step()

    assert well.failure is None
    assert_as_alone(engine, well, alone, by_itself)


class Faulty(TaskWeighting):
    """Fails at its third step."""

    def combine(self, losses: StepLosses) -> Tensor:
        if losses.step == 2:
            raise ValueError("weights of -1 make no sense")
        return losses.values.sum()


def test_a_fault_of_a_weighting_is_its_lane_s_alone(
    encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS, "faulty", lambda _: Faulty())
    engine = Engine(encoded)
    config = make_config()
    first = engine.open(config, 1)
    faulty = engine.open(make_config(weighting={"method": "faulty"}), 2)
    third = engine.open(config, 3)

    for _ in range(5):
        engine.step()

    ((lane, error),) = engine.results()
    assert lane is faulty
    assert faulty.failure is error
    assert str(error) == "weights of -1 make no sense"
    assert steps_done(first, faulty, third) == [5, 2, 5]


def test_a_fault_in_a_pass_is_found_to_be_one_lane_s(
    encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, alone = Engine(encoded), Engine(encoded)
    lanes = [engine.open(make_config(), seed) for seed in (1, 2, 3)]
    by_itself = alone.open(make_config(), 3)

    def fail(_: object) -> None:
        raise ValueError("something is wrong with this one")

    monkeypatch.setattr(lanes[1].model, "narrow_all", fail)
    for _ in range(4):
        engine.step()
        alone.step()

    ((lane, error),) = engine.results()
    assert lane is lanes[1]
    assert str(error) == "something is wrong with this one"
    assert steps_done(*lanes) == [4, 0, 4]
    assert_as_alone(engine, lanes[2], alone, by_itself)


def test_a_device_that_takes_nothing_any_more_is_no_fault_of_the_lanes(
    encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(encoded)
    lanes = [engine.open(make_config(), seed) for seed in (1, 2)]

    def fail(*_: object) -> None:
        raise torch.AcceleratorError("CUDA error: device-side assert triggered")

    monkeypatch.setattr("mtl_core.training.engine.take_together", fail)
    monkeypatch.setattr(engine, "wait", fail)  # as CUDA does after such a fault
    with pytest.raises(torch.AcceleratorError, match="device-side assert"):
        engine.step()

    assert [lane.failure for lane in lanes] == [None, None]
    assert engine.results() == []


def test_a_configuration_that_cannot_be_trained_leaves_the_others(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    engine = Engine(encoded)
    lane = engine.open(make_config(), 1)

    with pytest.raises(ConfigError, match=r"weighting\.method"):
        engine.open(make_config(weighting={"method": "unheard"}), 2)

    engine.step()
    assert engine.lanes == (lane,)
    assert steps_done(lane) == [1]


def test_a_checkpoint_of_another_corpus_is_refused(
    encoded: EncodedCorpus, even: EncodedCorpus, make_config: Make
) -> None:
    engine = Engine(encoded)
    checkpoint = engine.checkpoint(engine.open(make_config(), 1))

    with pytest.raises(ConfigError, match=r"corpus is .* there and .* here"):
        Engine(even).restore(checkpoint)


def test_a_checkpoint_that_lacks_a_tensor_is_refused_and_leaves_no_lane(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    engine = Engine(encoded)
    checkpoint = engine.checkpoint(engine.open(make_config(), 1))
    del checkpoint.tensors["model/head_bias"]
    other = Engine(encoded)

    with pytest.raises(ConfigError, match="checkpoint: has no model/head_bias"):
        other.restore(checkpoint)

    assert other.lanes == ()


def test_memory_that_runs_out_while_a_lane_is_restored_leaves_the_others(
    encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(encoded)
    lane = engine.open(make_config(), 1)
    checkpoint = engine.checkpoint(lane)

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Lane, "load", fail)
    with pytest.raises(NoRoom):
        engine.restore(checkpoint)
    assert engine.lanes == (lane,)
    with pytest.raises(MemoryError):
        Engine(encoded).restore(checkpoint)


def test_a_lane_that_is_closed_leaves_its_place_and_its_results(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    engine = Engine(encoded)
    lanes = [engine.open(config, 1) for config in mixed_trials(make_config)]
    while not any(lane.epoch for lane in lanes):
        engine.step()
    done = next(lane for lane in lanes if lane.epoch)

    engine.close(done)

    assert done not in engine.lanes
    assert all(lane is not done for lane, _ in engine.results())
    engine.step()


def test_a_lane_comes_and_goes_without_torch_s_compiler(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    """Its import takes two seconds of an engine with all its lanes, and 150 MB."""
    configs = [config.as_dict() for config in mixed_trials(make_config)]
    program = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from mtl_core.data.encoded import open_encoded\n"
        "from mtl_core.training.config import TrialConfig\n"
        "from mtl_core.training.engine import Engine\n"
        "engine = Engine(open_encoded(Path(sys.argv[1])))\n"
        "configs = map(TrialConfig.from_dict, json.loads(sys.argv[2]))\n"
        "lanes = [engine.open(config, 1) for config in configs]\n"
        "engine.step()\n"
        "saved = engine.checkpoint(lanes[0])\n"
        "for lane in lanes:\n"
        "    engine.close(lane)\n"
        "engine.restore(saved)\n"
        "engine.step()\n"
        "print('torch._dynamo' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program, str(encoded.path), json.dumps(configs)]

    done = subprocess.run(command, capture_output=True, text=True)

    assert (done.stdout, done.stderr) == ("False\n", "")


def test_the_time_of_an_epoch_is_that_of_its_steps(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    engine = Engine(encoded)
    lanes = [engine.open(make_config(), seed) for seed in (1, 2)]

    for _, result in finish(engine, *lanes):
        assert isinstance(result, EpochResult)
        assert result.seconds > 0
        assert result.tokens_per_second > 0
