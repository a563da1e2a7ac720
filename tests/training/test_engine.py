"""The engine moves the right lanes, which come and go as they like."""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest
from mixed_trials import mixed_trials

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.errors import ConfigError
from mtl_core.training.config import TrialConfig
from mtl_core.training.engine import Engine
from mtl_core.training.lane import Lane
from mtl_core.training.results import EpochResult, NoRoom

Make = Callable[..., TrialConfig]


def steps_done(*lanes: Lane) -> list[int]:
    return [lane.updater.steps_done for lane in lanes]


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
