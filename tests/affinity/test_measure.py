"""Measuring in the course of a training: it is right, for every kind of task, and moves nothing."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mtl_core.affinity.look_ahead import adam_step
from mtl_core.affinity.measure import measure, probe, steps_between
from mtl_core.affinity.rows import ProbeRows
from mtl_core.affinity.shared import shared_groups
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.minibatch import collate
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.training.config import TrialConfig
from mtl_core.training.losses import task_losses
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


@pytest.mark.parametrize("structure", SHARING)
def test_look_ahead_is_what_the_same_step_in_place_comes_to(
    structure: str, mixed: EncodedCorpus, make_config: MakeConfig
) -> None:
    trainer = Trainer(mixed, make_config(structure, epochs=1), seed=1)
    list(trainer.epochs())
    rows = ProbeRows(mixed, seed=1)
    model, updater = trainer.model.eval(), trainer.updater

    found, _ = probe(updater, rows, 1)

    batch = collate(mixed, "dev", rows.for_losses(1))
    before = _losses(model, mixed, batch)
    for task, step in enumerate(rows.for_steps(1)):
        _step_in_place(trainer, step)
        after = _losses(model, mixed, batch)
        _step_in_place(trainer, step, back=True)
        expected = 1 - after / before
        torch.testing.assert_close(found[task].float(), expected, rtol=0.05, atol=2e-5)


def test_cosines_are_those_of_the_parameters_gradients(
    mixed: EncodedCorpus, make_config: MakeConfig
) -> None:
    trainer = Trainer(mixed, make_config("layerwise_implicit", epochs=1), seed=1)
    list(trainer.epochs())
    rows, model = ProbeRows(mixed, seed=1), trainer.model.eval()

    _, found = probe(trainer.updater, rows, 1)

    gradients = []
    for step in rows.for_steps(1):
        model.zero_grad(set_to_none=True)
        batch = collate(mixed, "train", step)
        task_losses(model(batch), batch, mixed.tasks).sum().backward()
        names = [name for name in dict(model.named_parameters()) if name.startswith("layers.1.")]
        names = names or [n for n, g in model.table_group.items() if g == "layer1"]
        gradients.append(torch.cat([model.get_parameter(n).grad.flatten() for n in names]))
    expected = F.cosine_similarity(gradients[0], gradients[3], dim=0)
    assert float(found[2, 0, 3]) == pytest.approx(float(expected), abs=1e-4)


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


def _losses(model: MultiTaskEncoder, mixed: EncodedCorpus, batch: object) -> torch.Tensor:
    with torch.no_grad():
        return task_losses(model(batch), batch, mixed.tasks)  # type: ignore[arg-type]


def _step_in_place(trainer: Trainer, step: object, *, back: bool = False) -> None:
    """Move the shared parameters themselves by Adam's step on these rows, or back again."""
    model, corpus = trainer.model, trainer.updater.corpus
    batch = collate(corpus, "train", step)  # type: ignore[arg-type]
    if back:
        for name, kept in model.kept.items():  # type: ignore[attr-defined, union-attr]
            (model.words.data if name == "words" else model.rows[name]).copy_(kept)
        return
    narrowed = model.narrow(batch)
    groups = shared_groups(model)
    loss = task_losses(model(batch, narrowed), batch, corpus.tasks).sum()
    found = torch.autograd.grad(loss, [narrowed.tables[g] for g in groups], materialize_grads=True)
    gradients = dict(zip(groups, found, strict=True))
    moved = adam_step(trainer.updater.optimizer, narrowed.used, gradients)
    tables = {g: model.words.data if g == "words" else model.rows[g] for g in groups}
    model.kept = {g: table.clone() for g, table in tables.items()}  # type: ignore[assignment]
    for group, table in tables.items():
        table[narrowed.used[group]] += moved[group]
