"""Several steps for one update: what they move, alone and among others, and how it goes on."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from mixed_trials import mixed_trials
from torch import Tensor

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.minibatch import collate
from mtl_core.training.config import TrialConfig
from mtl_core.training.engine import Engine
from mtl_core.training.lane import Lane
from mtl_core.training.losses import task_losses
from mtl_core.training.results import EpochResult
from mtl_core.training.updates import take_together

Make = Callable[..., TrialConfig]
STILL = dict.fromkeys(("dropout", "dropout_embedding", "dropout_attention", "dropout_head"), 0.0)


def results_of(engine: Engine, lane: Lane, steps: int = 10_000) -> list[EpochResult]:
    """Return the epochs that the lane ends in so many steps of the engine."""
    found = []
    while lane.wanted and steps:
        engine.step()
        found += [result for of, result in engine.results() if of is lane]
        steps -= 1
    assert all(isinstance(result, EpochResult) for result in found)
    return [replace(result, tokens_per_second=0.0, seconds=0.0) for result in found]


def mean_gradients(lane: Lane, n_steps: int) -> dict[str, Tensor]:
    """Return the mean of the gradients of the first steps, of all banks by group."""
    lane.model.eval()
    for step in lane.steps[:n_steps]:
        batch = collate(lane.updater.corpus, "train", step)
        losses = task_losses(lane.model(batch), batch, lane.updater.corpus.tasks)
        (losses.sum() / n_steps).backward()
    rows: dict[str, list[Tensor]] = {}
    for name, group in lane.model.table_group.items():
        table = lane.model.get_parameter(name)
        gradient = torch.zeros_like(table) if table.grad is None else table.grad
        rows.setdefault(group, []).append(gradient.flatten(1))
    return {group: torch.cat(of, dim=1) for group, of in rows.items()}


@pytest.mark.parametrize("regime", ["alternating", "joint"])
@pytest.mark.parametrize("structure", ["single_task", "layerwise_explicit"])
def test_steps_of_one_update_move_by_the_mean_of_their_gradients(
    structure: str, regime: str, encoded: EncodedCorpus, make_config: Make
) -> None:
    config = make_config(
        encoder=STILL,
        sharing={"structure": structure},
        batches={"regime": regime, "batch_size": 4},
        training={"clip_norm": None, "accumulate": 3},
    )
    lane, other = (Engine(encoded).open(config, 3) for _ in range(2))
    update = lane.next_update()
    assert len(update.steps) == 3

    take_together([update])

    optimizer = lane.updater.optimizer
    for group, wanted in mean_gradients(other, 3).items():
        found = optimizer.means[group] / 0.1  # after one update from nothing
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)
        moved = wanted.abs().sum(1) > 0
        assert bool((optimizer.steps[group][moved] == 1).all())
    assert lane.updater.steps_done == 3
    assert [len(losses) for losses in update.losses] == [len(step) for step in update.steps]


def test_an_epoch_s_last_update_takes_what_is_left(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    engine = Engine(encoded)
    lane = engine.open(make_config(training={"accumulate": 3, "epochs": 1}), 3)
    assert len(lane.steps) == 17
    taken = []

    while lane.evaluation is None:
        taken.append(len(lane.next_update().steps))
        engine.step()

    assert taken == [3, 3, 3, 3, 3, 2]
    assert lane.updater.steps_done == 17
    assert len(results_of(engine, lane)) == 1


def test_lanes_of_one_step_and_of_many_for_an_update_go_on_side_by_side(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    config = make_config(training={"epochs": 1})
    long = replace(config, training=replace(config.training, accumulate=1000))
    engine = Engine(encoded)
    lane, of_all = engine.open(config, 3), engine.open(long, 3)

    engine.step()

    assert lane.updater.steps_done == 1
    assert of_all.updater.steps_done == 17
    assert of_all.evaluation is not None


@pytest.mark.parametrize("method", ["equal", "uncertainty"])
def test_a_lane_that_accumulates_is_the_same_among_others(
    method: str, encoded: EncodedCorpus, make_config: Make
) -> None:
    config = make_config(
        weighting={"method": method},
        training={"accumulate": 4, "epochs": 2, "layer_decay": 0.8, "frozen_layers": 1},
    )
    alone, company = Engine(encoded), Engine(encoded)
    by_itself = alone.open(config, 3)
    trials = mixed_trials(make_config)
    others = [company.open(trial, 7) for trial in trials[:3]]
    lane = company.open(config, 3)
    others.append(company.open(replace(trials[4], training=config.training), 9))

    found = results_of(company, lane, 2)
    company.close(others[1])
    found += results_of(company, lane)

    wanted = results_of(alone, by_itself)
    assert [r.losses for r in found] == [pytest.approx(r.losses, rel=1e-4) for r in wanted]
    assert len(found) == 2
    for name, tensor in alone.checkpoint(by_itself).tensors.items():
        if "/steps/" in name:
            assert torch.equal(company.checkpoint(lane).tensors[name], tensor)


@pytest.mark.parametrize("steps", [1, 3, 6, 7, 10])
def test_a_lane_that_accumulates_continues_to_the_same_bits(
    steps: int, encoded: EncodedCorpus, make_config: Make
) -> None:
    config = make_config(
        weighting={"method": "uncertainty"}, training={"accumulate": 3, "epochs": 2}
    )
    engine, other = Engine(encoded), Engine(encoded)
    lane = engine.open(config, 3)
    before = results_of(engine, lane, steps)

    continued = other.restore(engine.checkpoint(lane))
    wanted, found = results_of(engine, lane), results_of(other, continued)

    assert len(before) + len(wanted) == 2
    assert found == wanted
    assert other.checkpoint(continued).about == engine.checkpoint(lane).about
    for name, tensor in engine.checkpoint(lane).tensors.items():
        assert torch.equal(other.checkpoint(continued).tensors[name], tensor)


def test_a_later_step_that_is_no_number_moves_nothing(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    config = make_config(encoder=STILL, training={"accumulate": 17})
    lane = Engine(encoded).open(config, 3)
    first = lane.steps[0][0].task
    ill = next(row.task for step in lane.steps for row in step if row.task != first)
    with torch.no_grad():
        lane.model.get_parameter("head_bias")[ill] = float("nan")
    before = [rows.clone() for rows in lane.model.rows.values()]

    take_together([update := lane.next_update()])

    assert not update.done
    assert not update.finite
    assert 1 < len(update.losses) < 17
    for rows, was in zip(lane.model.rows.values(), before, strict=True):
        assert torch.equal(rows.nan_to_num(), was.nan_to_num())
    with pytest.raises(Exception, match=f"epoch 1, step {len(update.losses)}: the loss is no"):
        lane.note_update(update, 0.1)
