"""Measuring in the course of a training: it is right, for every kind of task, and moves nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from reference_affinity import reference_affinity

from mtl_core.affinity import measure as module
from mtl_core.affinity.measure import measure, probe, steps_between
from mtl_core.affinity.rows import ProbeRows
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.minibatch import Row
from mtl_core.training.config import TrialConfig
from mtl_core.training.models import copy_parameters
from mtl_core.training.results import Diverged
from mtl_core.training.trainer import Trainer

MakeConfig = Callable[..., TrialConfig]
SHARING = ["stack_pooling", "stack_cls", "layerwise_implicit", "layerwise_explicit"]


@pytest.mark.parametrize("structure", SHARING)
def test_tasks_of_every_kind_with_missing_labels_are_measured(
    structure: str, mixed: EncodedCorpus, make_config: MakeConfig, splits_seen: set[str]
) -> None:
    found = measure(Trainer(mixed, make_config(structure), seed=1), every=5)

    assert found.layers == ("words", "embedding", "layer1", "layer2")
    assert found.look_ahead.shape == (len(found.steps), 5, 5)
    assert found.cosines.shape == (len(found.steps), 4, 5, 5)
    assert found.steps == tuple(range(5, 5 * len(found.steps) + 1, 5))
    assert np.isfinite(found.look_ahead).all()
    assert np.isfinite(found.cosines).all()
    assert np.allclose(np.diagonal(found.cosines, axis1=2, axis2=3), 1)
    assert len(found.epochs) == 2
    assert splits_seen == {"train", "dev"}


def test_the_training_goes_on_as_if_nobody_had_looked(
    mixed: EncodedCorpus, make_config: MakeConfig
) -> None:
    measured, alone = (Trainer(mixed, make_config("stack_cls"), seed=1) for _ in range(2))

    found = measure(measured, every=3)

    results = list(alone.epochs())
    assert [result.average for result in found.epochs] == [result.average for result in results]
    assert [result.losses for result in found.epochs] == [result.losses for result in results]
    ours, theirs = copy_parameters(measured.model), copy_parameters(alone.model)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize(
    ("structure", "sharing"),
    [
        *((structure, {}) for structure in SHARING),
        ("layerwise_implicit", {"divergence_depth": [0, 1, 0, 1, 1]}),
        ("layerwise_explicit", {"other_tokens": "gated"}),
        ("layerwise_explicit", {"other_tokens": "detached"}),
    ],
)
def test_a_measurement_is_what_moving_the_parameters_of_a_copy_comes_to(
    structure: str, sharing: dict[str, Any], mixed: EncodedCorpus, make_config: MakeConfig
) -> None:
    trainer = Trainer(mixed, make_config(structure, epochs=1, **sharing), seed=1)
    list(trainer.epochs())
    rows = ProbeRows(mixed, seed=1)

    look_ahead, cosines = probe(trainer.updater, rows, 1)

    falls, of_layers = reference_affinity(trainer, rows, 1)
    assert np.abs(falls).max() > 1e-4
    np.testing.assert_allclose(look_ahead.numpy(), falls, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(cosines.numpy(), of_layers, atol=1e-5)


def test_training_in_bfloat16_is_measured_in_float32(
    mixed: EncodedCorpus, make_config: MakeConfig
) -> None:
    config = make_config("stack_cls", epochs=1)
    trainer = Trainer(
        mixed, replace(config, encoder=replace(config.encoder, precision="bfloat16")), seed=1
    )
    list(trainer.epochs())
    rows = ProbeRows(mixed, seed=1)

    look_ahead, _ = probe(trainer.updater, rows, 1)

    trainer.model.config = replace(trainer.model.config, precision="float32")
    falls, _ = reference_affinity(trainer, rows, 1)
    np.testing.assert_allclose(look_ahead.numpy(), falls, rtol=1e-3, atol=1e-6)


def test_so_is_a_task_that_is_learnt_to_a_loss_near_zero(
    mixed: EncodedCorpus, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(mixed, make_config("stack_cls", epochs=1), seed=1)
    list(trainer.epochs())
    trainer.model.get_parameter("head_bias").data[0, 0] += 12  # a loss of about 1e-5
    rows = ProbeRows(mixed, seed=1)
    first, *others = rows.for_losses(1)
    known = first.examples[mixed.split(0, "dev").labels[first.examples] == 0]
    monkeypatch.setattr(rows, "for_losses", lambda _: (Row(0, known), *others))

    look_ahead, _ = probe(trainer.updater, rows, 1)

    falls, _ = reference_affinity(trainer, rows, 1)
    np.testing.assert_allclose(look_ahead.numpy()[:, 0], falls[:, 0], rtol=1e-2, atol=2e-6)


def test_a_measurement_that_is_no_number_is_no_measurement(
    mixed: EncodedCorpus, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = torch.full((5, 5), torch.nan), torch.zeros(4, 5, 5)
    monkeypatch.setattr(module, "probe", lambda *_: broken)

    with pytest.raises(Diverged, match="a loss or a gradient is no number after 2 steps"):
        measure(Trainer(mixed, make_config("stack_cls"), seed=1), every=2)


def test_measuring_costs_about_as_much_as_training() -> None:
    # 4 tasks: 4 * (3 * 64 + 4 * 64) = 1,792 rows a measurement; 10 epochs of 3,000 rows cost
    # 90,000, so 50 measurements, in 1,000 steps one after every 20.
    assert steps_between(4, rows_of_epoch=3_000, steps_of_epoch=100, epochs=10) == 20


def test_a_short_training_is_measured_24_times_or_after_every_step() -> None:
    assert steps_between(8, rows_of_epoch=100, steps_of_epoch=48, epochs=1) == 2
    assert steps_between(8, rows_of_epoch=100, steps_of_epoch=3, epochs=1) == 1


def test_a_training_that_ends_before_a_measurement_says_so(
    mixed: EncodedCorpus, make_config: MakeConfig
) -> None:
    with pytest.raises(Diverged, match="no measurement: the training has"):
        measure(Trainer(mixed, make_config("stack_cls"), seed=1), every=10_000)


def test_a_training_that_diverges_is_no_measurement(
    mixed: EncodedCorpus, make_config: MakeConfig
) -> None:
    config = make_config("stack_pooling")
    config = replace(config, training=replace(config.training, learning_rate=1e30, clip_norm=None))

    with pytest.raises(Diverged):
        measure(Trainer(mixed, config, seed=1), every=2)
