"""Every row is answered in its place, by models alone and together."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.minibatch import Row, collate
from mtl_core.training import evaluation as evaluation_module
from mtl_core.training.config import TrialConfig
from mtl_core.training.evaluation import Evaluation, SplitBatches, advance, evaluate
from mtl_core.training.models import build_model

Make = Callable[..., TrialConfig]


@pytest.mark.parametrize("split", ["dev", "test"])
def test_every_row_is_predicted_in_its_place(
    split: str, encoded: EncodedCorpus, make_config: Make
) -> None:
    model = build_model(encoded, make_config(), seed=3).eval()

    evaluations = evaluate(model, encoded, split)

    for task, name in enumerate(encoded.names):
        rows = encoded.split(task, split)
        # One text at a time: no padding, no sorting.
        alone = [
            model(collate(encoded, split, (Row(task, np.array([row])),))).argmax().item()
            for row in range(len(rows))
        ]
        assert evaluations[name].predicted.tolist() == alone
        assert evaluations[name].labels.tolist() == rows.labels.tolist()
        assert evaluations[name].seen_in_train.tolist() == rows.seen_in_train.tolist()


def test_dev_rows_that_stand_in_train_are_known(encoded: EncodedCorpus, make_config: Make) -> None:
    evaluations = evaluate(build_model(encoded, make_config(), seed=3), encoded, "dev")

    for of_task in evaluations.values():
        assert of_task.seen_in_train[:4].all()
        assert of_task.n_unseen <= of_task.n_rows - 4


def test_the_model_is_put_back_as_it_was(encoded: EncodedCorpus, make_config: Make) -> None:
    model = build_model(encoded, make_config(), seed=3)

    for training in (True, False):
        model.train(training)
        evaluate(model, encoded, "dev")
        assert model.training is training
    assert torch.is_grad_enabled()


def test_models_at_different_places_are_evaluated_together(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    models = [build_model(encoded, make_config(), seed=seed) for seed in (3, 4)]
    batches = SplitBatches(encoded, "dev")
    first, second = Evaluation(batches), Evaluation(batches)

    advance(models[:1], [first])
    while not first.done:
        advance(models, [first, second])
    while not second.done:
        advance(models[1:], [second])

    for model, found in zip(models, (first.result(), second.result()), strict=True):
        for name, alone in evaluate(model, encoded, "dev").items():
            assert found[name].predicted.tolist() == alone.predicted.tolist()


def test_minibatches_are_kept_while_they_are_small(
    encoded: EncodedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = SplitBatches(encoded, "dev")
    one = batches.take(0).words.nbytes
    monkeypatch.setattr(evaluation_module, "_BYTES_KEPT", one)

    assert batches.take(0) is batches.take(0)
    assert batches.take(1) is not batches.take(1)
    assert torch.equal(batches.take(1).words, batches.take(1).words)
