"""Sentence vectors: the mean over padding as published, and every place of dropout."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from mtl_core.data.minibatch import Minibatch
from mtl_core.model.config import EncoderConfig
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.structures import layerwise_explicit, stack_cls, stack_pooling

MakeModel = Callable[..., MultiTaskEncoder]
MakeBatch = Callable[..., Minibatch]
DROPOUTS = ["dropout_embedding", "dropout", "dropout_attention", "dropout_head"]


def test_the_mean_over_padding_counts_all_positions(
    config: EncoderConfig, make_model: MakeModel, make_batch: MakeBatch, plain_logits: Callable
) -> None:
    plan, batch = stack_pooling(4, 3), make_batch([1, 3])
    published = make_model(plan, replace(config, mean_over_padding=True)).eval()

    logits = published(batch)

    torch.testing.assert_close(logits, plain_logits(published, batch), atol=1e-9, rtol=1e-9)
    padded = batch.lengths < batch.words.shape[1]
    over_words = make_model(plan).eval()(batch)
    differs = ~torch.isclose(logits, over_words, rtol=1e-9).all(dim=1)
    assert differs[padded].all()
    assert not differs[~padded].any()


@pytest.mark.parametrize("place", DROPOUTS)
def test_each_dropout_acts_in_training_only_and_follows_the_generator(
    place: str, config: EncoderConfig, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model = make_model(stack_cls(4, 3), replace(config, **{place: 0.5})).float()
    batch = make_batch([0, 2])

    def logits(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return model(batch)[:, :2]

    assert torch.equal(logits(1), logits(1))
    assert not torch.allclose(logits(1), logits(2))
    model.eval()
    assert torch.equal(logits(1), logits(2))


def test_without_dropout_training_and_evaluation_agree(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model, batch = make_model(layerwise_explicit(4, 3)), make_batch([0, 2])

    assert torch.equal(model.train()(batch), model.eval()(batch))


@pytest.mark.parametrize("place", DROPOUTS[1:])
def test_gradients_with_dropout_are_those_of_finite_differences(
    place: str, config: EncoderConfig, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model = make_model(stack_pooling(4, 3), replace(config, **{place: 0.3}))
    batch, weight = make_batch([2]), model.get_parameter("layers.2.qkv_weight")

    def loss() -> torch.Tensor:
        torch.manual_seed(1)
        return model(batch)[:, :2].square().sum()

    loss().backward()
    direction = torch.randn_like(weight)
    with torch.no_grad():
        weight.add_(direction, alpha=1e-6)
        above = loss()
        weight.add_(direction, alpha=-2e-6)
        slope = (above - loss()) / 2e-6
    assert weight.grad is not None
    assert (weight.grad * direction).sum().item() == pytest.approx(slope.item(), rel=1e-4)
