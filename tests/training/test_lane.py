"""A lane is the same alone and in company, and continues from any of its steps."""

import json
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mixed_trials import mixed_trials

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.errors import ConfigError
from mtl_core.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from mtl_core.training.config import TrialConfig
from mtl_core.training.engine import Engine
from mtl_core.training.lane import Lane
from mtl_core.training.results import EpochResult
from mtl_core.training.trainer import Trainer

Make = Callable[..., TrialConfig]
SEED = 11


def run(engine: Engine, steps: int) -> list[tuple[Lane, EpochResult]]:
    """Take so many steps; return the epochs that ended among them."""
    results = []
    for _ in range(steps):
        engine.step()
        for lane, result in engine.results():
            assert isinstance(result, EpochResult), result
            results.append((lane, result))
    return results


def run_to_the_end(engine: Engine, lane: Lane) -> list[EpochResult]:
    results: list[EpochResult] = []
    while lane.wanted:
        results += [result for of, result in run(engine, 1) if of is lane]
    return results


def position_bytes(checkpoint: Checkpoint) -> bytes:
    return json.dumps(checkpoint.about["position"]).encode()


def numbers(results: list[EpochResult]) -> list[EpochResult]:
    """Return the results without the times, which no run repeats."""
    return [replace(result, tokens_per_second=0.0, seconds=0.0) for result in results]


def assert_same_state(found: Checkpoint, wanted: Checkpoint) -> None:
    assert found.about == wanted.about
    assert found.tensors.keys() == wanted.tensors.keys()
    assert [n for n, t in wanted.tensors.items() if not torch.equal(found.tensors[n], t)] == []


def test_a_lane_is_the_same_alone_and_among_seven_others_that_join_and_leave(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    trials = [
        replace(config, training=replace(config.training, epochs=3))
        for config in mixed_trials(make_config)
    ]
    company, lanes, guests = Engine(encoded), list[Lane](), list[Lane]()
    results: list[tuple[Lane, EpochResult]] = []
    turn = 0
    while len(lanes) < len(trials) or any(lane.wanted for lane in lanes):
        if turn % 3 == 0 and len(lanes) < len(trials):
            lanes.append(company.open(trials[len(lanes)], SEED + len(lanes)))
        if turn % 7 == 2:  # others come for a while
            guests.append(company.open(trials[turn % 8], turn))
        if turn % 7 == 6:
            company.close(guests.pop())
        results += run(company, 1)
        turn += 1

    for lane in lanes:
        engine = Engine(encoded)
        alone = engine.open(lane.config, lane.seed)
        wanted = run_to_the_end(engine, alone)
        found = [result for of, result in results if of is lane]
        assert len(found) == 3
        for mine, theirs in zip(found, wanted, strict=True):
            assert mine.loss == pytest.approx(theirs.loss, rel=1e-4)
            assert mine.losses == pytest.approx(theirs.losses, rel=1e-4)
        assert position_bytes(company.checkpoint(lane)) == position_bytes(engine.checkpoint(alone))


# An epoch has 17 steps and 3 of dev.
@pytest.mark.parametrize(
    ("method", "steps"),
    [
        *(("equal", steps) for steps in (1, 7, 16, 17, 18, 19, 20)),
        *((method, steps) for method in ("uncertainty", "dwa", "random") for steps in (18, 27)),
    ],
)
def test_a_lane_continues_from_any_step_to_the_same_bits(
    method: str, steps: int, encoded: EncodedCorpus, make_config: Make
) -> None:
    config = make_config(
        weighting={"method": method},
        sharing={"structure": "layerwise_explicit", "divergence_depth": 1},
        training={"lr_schedule": "cosine", "warmup": 0.1, "epochs": 2 + (method == "dwa")},
    )
    engine, other = Engine(encoded), Engine(encoded)
    lane = engine.open(config, SEED)
    before = [result for _, result in run(engine, steps)]

    continued = other.restore(engine.checkpoint(lane))
    wanted = run_to_the_end(engine, lane)
    found = run_to_the_end(other, continued)

    assert len(before) + len(found) == config.training.epochs
    assert numbers(found) == numbers(wanted)
    assert_same_state(other.checkpoint(continued), engine.checkpoint(lane))


def test_a_checkpoint_of_mid_epoch_goes_through_a_file(
    encoded: EncodedCorpus, make_config: Make, tmp_path: Path
) -> None:
    engine = Engine(encoded)
    lane = engine.open(make_config(), SEED)
    run(engine, 24)
    path = tmp_path / "lane.safetensors"

    write_checkpoint(path, engine.checkpoint(lane))
    continued = Engine(encoded).restore(read_checkpoint(path))

    wanted = engine.checkpoint(lane)
    found = continued.state()
    assert {key: found.about[key] for key in wanted.about} == wanted.about
    assert found.about["position"] == {"epoch": 1, "step": 21, "step_in_epoch": 4, "seed": SEED}
    assert all(torch.equal(found.tensors[n], t) for n, t in wanted.tensors.items())


def test_a_trainer_s_checkpoint_is_a_lane_s(encoded: EncodedCorpus, make_config: Make) -> None:
    trainer, engine = Trainer(encoded, make_config(), seed=SEED), Engine(encoded)
    next(trainer.epochs())

    lane = engine.restore(trainer.state_dict())

    assert numbers(run_to_the_end(engine, lane)) == numbers(list(trainer.epochs()))


def test_a_checkpoint_is_a_copy(encoded: EncodedCorpus, make_config: Make) -> None:
    engine = Engine(encoded)
    lane = engine.open(make_config(), SEED)
    run(engine, 3)
    kept = engine.checkpoint(lane)
    before = {name: tensor.clone() for name, tensor in kept.tensors.items()}

    run(engine, 3)

    assert all(torch.equal(kept.tensors[name], tensor) for name, tensor in before.items())


def test_scores_are_kept_without_copies_of_the_parameters(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    config = make_config(training={"epochs": 4, "patience_epochs": 2})
    engine = Engine(encoded)
    copying, lean = engine.open(config, SEED), engine.open(config, SEED, keep_best=False)
    while copying.wanted or lean.wanted:
        run(engine, 1)

    assert lean.ended == copying.ended
    assert {k: (b.epoch, b.score) for k, b in lean.best.items()} == {
        k: (b.epoch, b.score) for k, b in copying.best.items()
    }
    assert all(best.state == {} for best in lean.best.values())
    assert not any(name.startswith("best") for name in engine.checkpoint(lean).tensors)


def test_copies_that_were_not_kept_cannot_be_asked_for_later(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    engine = Engine(encoded)
    lean = engine.open(make_config(), SEED, keep_best=False)
    before = engine.checkpoint(lean)
    while not lean.epoch:
        run(engine, 1)

    with pytest.raises(ConfigError, match=r"no parameters of epoch 1.*keep_best=False"):
        engine.restore(engine.checkpoint(lean))

    assert engine.restore(before).keep_best  # no epoch is done: there are none to be kept yet
    assert engine.restore(engine.checkpoint(lean), keep_best=False).epoch == 1


def test_what_a_lane_was_released_from_is_gone(encoded: EncodedCorpus, make_config: Make) -> None:
    engine = Engine(encoded)
    lane = engine.open(make_config(), SEED)
    run(engine, 2)
    held = (*lane.model.parameters(), *lane.updater.state_dict().values())
    tensors = [weakref.ref(tensor) for tensor in held]
    del held

    engine.close(lane)

    assert all(tensor() is None for tensor in tensors)
    assert all(parameter.is_meta for parameter in lane.model.parameters())
    assert lane.updater.state_dict() == {}
    assert lane.updater.steps_done == 2
    assert engine.lanes == ()
