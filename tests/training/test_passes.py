"""What goes wrong with one lane is its own result, and reaches no other."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.training import passes
from mtl_core.training.config import TrialConfig
from mtl_core.training.engine import Engine
from mtl_core.training.lane import Lane
from mtl_core.training.results import Diverged
from mtl_core.training.updates import Update, take_together
from mtl_core.weighting.methods import METHODS
from mtl_core.weighting.task_weighting import StepLosses, TaskWeighting

Make = Callable[..., TrialConfig]


def assert_as_alone(engine: Engine, lane: Lane, alone: Engine, by_itself: Lane) -> None:
    """Check that both are at the same step with the same losses up to there."""
    found, wanted = (e.checkpoint(of) for e, of in ((engine, lane), (alone, by_itself)))
    assert found.about["position"] == wanted.about["position"]
    assert found.about["losses"] == pytest.approx(wanted.about["losses"], rel=1e-4)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in found.tensors.values())


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
    assert [lane.updater.steps_done for lane in (ill, well, ill_too)] == [0, 6, 0]
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
    assert [lane.updater.steps_done for lane in (first, faulty, third)] == [5, 2, 5]


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
    assert [lane.updater.steps_done for lane in lanes] == [4, 0, 4]
    assert_as_alone(engine, lanes[2], alone, by_itself)


def test_a_pass_that_breaks_off_for_several_lanes_alone_is_told_once(
    encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, alone = Engine(encoded), Engine(encoded)
    lanes = [engine.open(make_config(), seed) for seed in (1, 2)]
    by_itself = alone.open(make_config(), 1)

    def only_alone(updates: list[Update]) -> None:
        if len(updates) > 1:
            raise IndexError("no such bank")
        take_together(updates)

    monkeypatch.setattr(passes, "take_together", only_alone)

    for _ in range(3):
        engine.step()
        alone.step()

    assert engine.notes == ["lanes are taken one by one, since together: IndexError: no such bank"]
    assert [lane.failure for lane in lanes] == [None, None]
    assert_as_alone(engine, lanes[0], alone, by_itself)


def test_a_device_that_takes_nothing_any_more_is_no_fault_of_the_lanes(
    encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(encoded)
    lanes = [engine.open(make_config(), seed) for seed in (1, 2)]

    def fail(*_: object) -> None:
        raise torch.AcceleratorError("CUDA error: device-side assert triggered")

    monkeypatch.setattr("mtl_core.training.passes.take_together", fail)
    monkeypatch.setattr("mtl_core.training.passes.wait_for", fail)  # as CUDA does then
    with pytest.raises(torch.AcceleratorError, match="device-side assert"):
        engine.step()

    assert [lane.failure for lane in lanes] == [None, None]
    assert engine.results() == []
