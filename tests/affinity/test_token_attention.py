"""Attention of the task tokens, against a model that does one text at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from reference_model import ReferenceModel
from torch import Tensor

from mtl_core.affinity.token_attention import has_all_tokens, text_attention, token_attention
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.minibatch import Row
from mtl_core.training.config import TrialConfig
from mtl_core.training.models import build_model

MakeConfig = Callable[..., TrialConfig]
SHARING: list[tuple[str, dict[str, Any]]] = [
    ("layerwise_explicit", {}),
    ("layerwise_explicit", {"divergence_depth": 1}),
    ("layerwise_explicit", {"other_tokens": "gated"}),
    ("layerwise_explicit", {"token_attention": "own"}),
    ("layerwise_implicit", {}),
]
LABELLED = 2  # tasks that classify; the first of them, and the pairs


@pytest.mark.parametrize(("structure", "sharing"), SHARING)
def test_weights_are_those_of_a_text_alone(
    structure: str,
    sharing: dict[str, Any],
    mixed: EncodedCorpus,
    make_config: MakeConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = make_config(structure, **sharing)
    model = build_model(mixed, config, seed=3)
    reference = ReferenceModel(mixed, config, 3)
    for task in range(LABELLED):
        rows = np.arange(9)

        found = text_attention(model, mixed, Row(task, rows))

        for row, weights in zip(rows, found, strict=True):
            expected = _reference(reference, mixed, task, int(row), monkeypatch)
            torch.testing.assert_close(weights.double(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("structure", "sharing"), SHARING)
def test_what_a_token_gives_adds_to_one_whatever_the_task(
    structure: str, sharing: dict[str, Any], mixed: EncodedCorpus, make_config: MakeConfig
) -> None:
    model = build_model(mixed, make_config(structure, **sharing), seed=3)
    for task in range(mixed.n_tasks):
        n_tokens = len(model.plan.tokens_of(task))
        lengths = mixed.split(task, "dev").lengths[:9]

        found = text_attention(model, mixed, Row(task, np.arange(9)))

        for weights, length in zip(found, lengths.tolist(), strict=True):
            assert weights.shape == (n_tokens, n_tokens + length)
            torch.testing.assert_close(weights.sum(1), torch.ones(n_tokens))


def test_a_task_s_row_is_its_own_token_s_on_its_own_texts(
    mixed: EncodedCorpus, make_config: MakeConfig, splits_seen: set[str]
) -> None:
    model = build_model(mixed, make_config("layerwise_explicit"), seed=3)

    found = token_attention(model, mixed)

    texts = text_attention(model, mixed, Row(2, np.arange(len(mixed.split(2, "dev")))))
    expected = torch.stack([weights[2, :5] for weights in texts]).mean(0)
    parts = [len(range(part, len(texts), len(found))) for part in range(len(found))]
    mean = np.average(found[:, 2], axis=0, weights=parts)
    assert mean == pytest.approx(expected.numpy(), rel=1e-5)
    assert splits_seen <= {"train", "dev"}


def test_only_models_with_the_tokens_of_all_tasks_have_it(
    mixed: EncodedCorpus, make_config: MakeConfig
) -> None:
    names = ["stack_cls", "layerwise_implicit", "layerwise_explicit"]
    models = [build_model(mixed, make_config(name), seed=3) for name in names]

    assert [has_all_tokens(model) for model in models] == [False, False, True]


def _reference(
    reference: ReferenceModel,
    mixed: EncodedCorpus,
    task: int,
    row: int,
    monkeypatch: pytest.MonkeyPatch,
) -> Tensor:
    """Return the mean over layers and heads of what each token gives to each position."""
    split = mixed.split(task, "dev")
    words = split.words[split.offsets[row] : split.offsets[row + 1]].tolist()
    n_tokens = len(reference.plan.tokens_of(task))
    seen: list[Tensor] = []

    def softmax(scores: Tensor, dim: int) -> Tensor:
        weights = scores.softmax(dim)
        if weights.shape[1] == n_tokens + len(words):  # the tokens have entered
            seen.append(weights[:n_tokens].detach())
        return weights

    with monkeypatch.context() as patch:
        patch.setattr("reference_model.torch.softmax", softmax)
        reference.logits(words, task, len(words))
    return torch.stack(seen).mean(0)
