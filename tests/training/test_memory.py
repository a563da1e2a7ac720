"""What a lane needs: counted from its plan, and measured by a pass."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from mixed_trials import mixed_trials

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.training.config import TrialConfig
from mtl_core.training.engine import Engine
from mtl_core.training.lane import Lane
from mtl_core.training.memory import LaneMemory, measure_pass
from mtl_core.training.results import NoRoom

Make = Callable[..., TrialConfig]


def state_bytes(lane: Lane) -> int:
    rows = [t for name, t in lane.model.named_buffers() if name.endswith("_row")]
    tensors = [*lane.model.parameters(), *rows]
    return sum(t.nbytes for t in tensors) + sum(
        t.nbytes for t in lane.updater.optimizer.state_dict().values()
    )


@pytest.mark.parametrize("number", range(8))
def test_what_stays_of_a_lane_is_counted_exactly(
    number: int, encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = mixed_trials(make_config)[number]
    memory = LaneMemory(encoded)
    monkeypatch.setattr(memory, "_estimate_pass", lambda _: 0)

    lane = Engine(encoded).open(config, 1)

    assert memory.need(config) == state_bytes(lane)


@pytest.mark.parametrize("n_frozen", [1, 2])
def test_what_is_frozen_is_counted_without_moments(
    n_frozen: int, encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(training={"frozen_layers": n_frozen})
    memory = LaneMemory(encoded)
    monkeypatch.setattr(memory, "_estimate_pass", lambda _: 0)

    lane = Engine(encoded).open(config, 1)

    assert memory.need(config) == state_bytes(lane) < memory.need(make_config())


def test_a_pass_takes_more_for_longer_steps_and_deeper_models(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    def measured(**sections: dict[str, object]) -> int:
        lane = Engine(encoded).open(make_config(**sections), 1)
        step = max(lane.steps, key=lambda step: len(step[0].examples))
        return measure_pass(lane, step)

    small, deep = measured(), measured(encoder={"n_layers": 8})
    large = measured(batches={"batch_size": 40})

    assert deep > 2 * small
    assert large > 2 * small


def test_a_measurement_leaves_the_lane_as_it_was(encoded: EncodedCorpus, make_config: Make) -> None:
    config = make_config(weighting={"method": "uncertainty"})
    engine, untouched = Engine(encoded), Engine(encoded)
    lane, twin = engine.open(config, 1), untouched.open(config, 1)
    for _ in range(3):
        engine.step()
        untouched.step()

    LaneMemory(encoded).measure(lane)
    engine.step()
    untouched.step()

    wanted = untouched.checkpoint(twin)
    found = engine.checkpoint(lane)
    assert found.about == wanted.about
    assert all(torch.equal(found.tensors[name], t) for name, t in wanted.tensors.items())


def test_the_estimate_is_of_the_order_of_what_is_measured(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    for config in mixed_trials(make_config):
        memory = LaneMemory(encoded)
        estimated = memory.need(config)
        memory.measure(Engine(encoded).open(config, 1))

        assert 0.2 < estimated / memory.need(config) < 5


def test_as_many_lanes_fit_as_the_budget_holds(encoded: EncodedCorpus, make_config: Make) -> None:
    engine, config = Engine(encoded), make_config()
    engine.open(config, 0)
    engine.open(config, 1)  # now both are measured
    engine.budget = 5 * engine.need(config)

    assert engine.room(config) == 3
    lanes = [engine.open(config, seed) for seed in (2, 3, 4)]
    assert engine.room(config) == 0
    with pytest.raises(NoRoom) as caught:
        engine.open(config, 5)

    assert caught.value.need == engine.need(config)
    assert caught.value.free == 0
    assert "no room for one more lane: it needs" in str(caught.value)
    engine.close(lanes[0])
    assert engine.room(config) == 1


def test_a_lane_alone_is_never_refused(encoded: EncodedCorpus, make_config: Make) -> None:
    engine = Engine(encoded)
    engine.budget = 1

    assert engine.room(make_config()) == 1
    engine.open(make_config(), 1)
    assert engine.room(make_config()) == 0
    with pytest.raises(NoRoom):
        engine.open(make_config(), 2)


def test_a_lane_that_takes_more_than_was_estimated_is_refused(
    encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LaneMemory, "_estimate_pass", lambda *_: 0)
    engine, larger = Engine(encoded), make_config(batches={"batch_size": 50})
    engine.open(make_config(), 1)
    engine.open(make_config(), 2)
    engine.budget = 2 * engine.need(make_config()) + engine.need(larger)
    assert engine.room(larger) == 1

    with pytest.raises(NoRoom):
        engine.open(larger, 3)

    assert len(engine.lanes) == 2
    assert engine.room(larger) == 0


def test_the_longest_step_is_measured(encoded: EncodedCorpus, make_config: Make) -> None:
    config = make_config()
    memory, lane = LaneMemory(encoded), Engine(encoded).open(config, 1)
    memory.measure(lane)
    with_pass = memory.need(config)

    others = [measure_pass(lane, step) for step in lane.steps]

    assert with_pass - state_bytes(lane) >= np.quantile(others, 0.9)
