"""How far other tasks' tokens reach in L-E: who sees whom, and limits that are other plans."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mtl_core.data.minibatch import Minibatch
from mtl_core.model.config import EncoderConfig
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.plan import SharingPlan
from mtl_core.model.reads import OtherTokens, Readout, TokenAttention
from mtl_core.model.structures import layerwise_explicit, layerwise_implicit
from mtl_core.model.token_access import gate_scores, is_hidden

K, L = 4, 3
SHUT = -100.0  # a gate's learned number at which nothing passes

MakeModel = Callable[..., MultiTaskEncoder]
MakeBatch = Callable[..., Minibatch]


def move_tokens(model: MultiTaskEncoder, tokens: list[int]) -> None:
    with torch.no_grad():
        model.get_parameter("tokens")[tokens] += torch.randn(len(tokens), 12).double()


def copy_weights(model: MultiTaskEncoder, to: MultiTaskEncoder) -> None:
    there = dict(model.named_parameters())
    with torch.no_grad():
        for name, table in to.named_parameters():
            table.copy_(there[name])


def read_words(plan: SharingPlan) -> SharingPlan:
    """Return the plan that reads the mean of its words in place of the token."""
    return replace(plan, readout=Readout.MEAN)


@pytest.mark.parametrize(
    ("attention", "hidden"),
    [
        (TokenAttention.ALL, [False, False, False]),
        (TokenAttention.OWN, [True, False, True]),
        (TokenAttention.NONE, [True, True, True]),
    ],
)
def test_words_of_a_task_do_not_see_the_tokens_that_are_hidden(
    attention: TokenAttention, hidden: list[bool]
) -> None:
    assert is_hidden(attention, 1, 3) == hidden


def test_a_gate_adds_the_logarithm_of_its_share_and_the_own_token_has_none() -> None:
    gates = torch.tensor([0.0, 0.4, 0.8], dtype=torch.float64)

    scores = gate_scores(gates, task=1)

    shares = torch.tensor([1 / (1 + torch.e**4), 1.0, 0.5, 1 / (1 + torch.e**-4)])
    torch.testing.assert_close(scores.exp(), shares.double())


@pytest.mark.parametrize(
    ("attention", "moved", "changes"),
    [
        (TokenAttention.ALL, [0, 2, 3], True),
        (TokenAttention.OWN, [0, 2, 3], False),
        (TokenAttention.OWN, [1], True),
        (TokenAttention.NONE, [1], False),
        (TokenAttention.NONE, [0, 2, 3], False),
    ],
)
def test_words_depend_on_the_tokens_they_attend_to_and_on_no_other(
    attention: TokenAttention,
    moved: list[int],
    changes: bool,
    make_model: MakeModel,
    make_batch: MakeBatch,
) -> None:
    # After one layer: above it the own token, which may see all, would pass it on to the words.
    plan = replace(read_words(layerwise_explicit(K, 1)), token_attention=attention)
    model, batch = make_model(plan).eval(), make_batch([1])
    before = model(batch)

    move_tokens(model, moved)

    assert torch.equal(model(batch), before) is not changes


@pytest.mark.parametrize("attention", TokenAttention)
def test_the_own_token_sees_the_tokens_of_the_others_whatever_the_words_see(
    attention: TokenAttention, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    plan = replace(layerwise_explicit(K, L, L - 1), token_attention=attention)
    model, batch = make_model(plan).eval(), make_batch([1])
    before = model(batch)

    move_tokens(model, [0])

    assert not torch.allclose(model(batch)[:, :3], before[:, :3])


def test_words_that_see_no_token_are_those_of_stack_pooling_however_many_layers(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    plan = replace(read_words(layerwise_explicit(K, L)), token_attention=TokenAttention.NONE)
    blind, batch = make_model(plan).eval(), make_batch(range(K))
    before = blind(batch)

    move_tokens(blind, [0, 1, 2, 3])

    assert torch.equal(blind(batch), before)


@pytest.mark.parametrize("attention", [TokenAttention.ALL, TokenAttention.OWN])
def test_with_shut_gates_layerwise_explicit_is_layerwise_implicit(
    attention: TokenAttention, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    plan = layerwise_explicit(K, L, [0, 1, 2, 0], token_attention=attention)
    gated = make_model(replace(plan, other_tokens=OtherTokens.GATED))
    implicit = make_model(layerwise_implicit(K, L, [0, 1, 2, 0]))
    copy_weights(gated, implicit)
    with torch.no_grad():
        gated.get_parameter("token_gate_bias").fill_(SHUT)
    batch = make_batch(range(K))

    torch.testing.assert_close(gated(batch), implicit(batch), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("attention", TokenAttention)
def test_with_open_gates_it_is_the_plan_without_gates(
    attention: TokenAttention, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    plan = layerwise_explicit(K, L, token_attention=attention)
    gated, free = make_model(replace(plan, other_tokens=OtherTokens.GATED)), make_model(plan)
    with torch.no_grad():
        gated.get_parameter("token_gate_bias").fill_(-SHUT)
    batch = make_batch(range(K))

    torch.testing.assert_close(gated(batch), free(batch), atol=1e-12, rtol=1e-12)


def test_a_gate_starts_nearly_shut(config: EncoderConfig) -> None:
    plan = layerwise_explicit(K, L, other_tokens=OtherTokens.GATED)
    fresh = MultiTaskEncoder(
        plan,
        config,
        n_classes=[2] * K,
        vocabulary_of_tasks=torch.ones(K, 5).bool().numpy(),
        max_words=2,
        task_names=["a", "b", "c", "d"],
        seed=0,
    )

    shares = gate_scores(fresh.get_parameter("token_gate_bias")[2], 2).exp()

    assert shares.tolist() == pytest.approx([0.018, 0.018, 1.0, 0.018], abs=1e-3)


@pytest.mark.parametrize("attention", TokenAttention)
def test_each_gate_lets_the_token_through_that_it_stands_for(
    attention: TokenAttention, make_model: MakeModel, make_batch: MakeBatch, plain_logits: Callable
) -> None:
    plan = layerwise_explicit(K, L, [0, 2, 1, 0], token_attention=attention)
    model = make_model(replace(plan, other_tokens=OtherTokens.GATED)).eval()
    gates = model.get_parameter("token_gate_bias")
    with torch.no_grad():
        gates.copy_(torch.linspace(-0.3, 1.2, gates.numel()).view_as(gates))
    batch = make_batch([2, 0, 1, 3])

    found, expected = model(batch), plain_logits(model, batch)

    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)
    for table in ("token_gate_bias", "tokens", "layers.2.qkv_weight"):
        (gradient,) = torch.autograd.grad(
            loss_from(found), model.get_parameter(table), retain_graph=True
        )
        (wanted,) = torch.autograd.grad(
            loss_from(expected), model.get_parameter(table), retain_graph=True
        )
        torch.testing.assert_close(gradient, wanted, atol=1e-9, rtol=1e-9, msg=table)


def loss_from(logits: Tensor) -> Tensor:
    return logits[:, :2].square().sum()


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_the_gradient_of_a_gate_is_that_of_finite_differences(
    share: float, config: EncoderConfig, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    plan = layerwise_explicit(
        K, L, token_attention=TokenAttention.OWN, other_tokens=OtherTokens.GATED
    )
    model = make_model(plan, replace(config, dropout_attention=share))
    batch, gates = make_batch([0, 3]), model.get_parameter("token_gate_bias")

    def loss() -> Tensor:
        torch.manual_seed(1)
        return loss_from(model(batch))

    loss().backward()
    direction = torch.randn_like(gates)
    with torch.no_grad():
        gates.add_(direction, alpha=1e-6)
        above = loss()
        gates.add_(direction, alpha=-2e-6)
        slope = (above - loss()) / 2e-6
    assert gates.grad is not None
    assert (gates.grad * direction).sum().item() == pytest.approx(slope.item(), rel=1e-4)


def test_detached_tokens_change_no_result_and_get_no_gradient(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    plan = layerwise_explicit(K, L)
    free = make_model(plan)
    detached = make_model(replace(plan, other_tokens=OtherTokens.DETACHED))
    batch = make_batch([1, 3])

    logits = detached(batch)
    loss_from(logits).backward()
    loss_from(free(batch)).backward()

    assert torch.equal(logits, free(batch))
    moved, moved_free = (
        (model.get_parameter("tokens").grad.abs().sum(1) > 0).tolist() for model in (detached, free)
    )
    assert moved == [False, True, False, True]
    assert moved_free == [True] * 4


def test_an_update_does_not_touch_a_detached_token(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    plan = layerwise_explicit(K, L, other_tokens=OtherTokens.DETACHED)

    narrowed = make_model(plan).narrow(make_batch([3, 1]))

    assert narrowed.used["tokens"].tolist() == [1, 3]


@pytest.mark.parametrize("others", OtherTokens)
def test_only_gates_have_parameters_one_for_each_pair(
    others: OtherTokens, make_model: MakeModel, config: EncoderConfig
) -> None:
    plan = layerwise_explicit(K, L)
    changed = replace(plan, other_tokens=others, token_attention=TokenAttention.OWN)

    more = make_model(changed).count_parameters() - make_model(plan).count_parameters()

    assert more == (12 if others is OtherTokens.GATED else 0)
    assert more == changed.n_parameters(config, [2] * K) - plan.n_parameters(config, [2] * K)


def test_a_task_alone_has_no_others() -> None:
    plan = layerwise_explicit(1, 2)

    assert plan == layerwise_explicit(1, 2, other_tokens=OtherTokens.GATED)
    assert plan == layerwise_explicit(1, 2, token_attention=TokenAttention.OWN)
    assert plan != layerwise_explicit(1, 2, token_attention=TokenAttention.NONE)
