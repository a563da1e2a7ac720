"""Attention with dropout on a CPU against the same computed from its parts by autograd."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mtl_core.model import attention
from mtl_core.model.attention import DroppedAttention, attend, attend_from
from mtl_core.model.dropout import (
    draw_seed,
    dropped_levels,
    kept_scale,
    random_bits,
    write_kept,
)

N, T, H, WIDTH = 5, 8, 2, 6


@pytest.fixture
def qkv() -> Tensor:
    return torch.randn(N, T, 3 * WIDTH, requires_grad=True)


@pytest.fixture
def mask() -> Tensor:
    lengths = torch.tensor([8, 3, 1, 6, 8])
    return (torch.arange(T) < lengths[:, None])[:, None, None]


def from_parts(qkv: Tensor, mask: Tensor | None, kept: Tensor | float) -> Tensor:
    query, key, value = qkv.view(N, T, 3, H, -1).permute(2, 0, 3, 1, 4)
    scores = query @ key.transpose(2, 3) / (WIDTH // H) ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return (scores.softmax(-1) * kept @ value).transpose(1, 2).reshape(N, T, WIDTH)


def kept_of_seed(seed: int, share: float) -> Tensor:
    """Return which weights are kept, as the function draws them from the global generator."""
    torch.manual_seed(seed)
    source = np.random.SFC64(draw_seed())
    kept = torch.empty(N, H, T, T)
    write_kept(random_bits(kept.numel(), source), dropped_levels(share), out=kept)
    return kept * kept_scale(share)


@pytest.mark.parametrize("share", [0.1, 0.6])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("chunk", [1 << 19, 2 * H * T * T, 1])
def test_dropped_attention_and_its_gradient_are_those_of_its_parts(
    qkv: Tensor,
    mask: Tensor,
    share: float,
    masked: bool,
    chunk: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attention, "_CHUNK", chunk)
    kept, used_mask = kept_of_seed(11, share), mask if masked else None
    weight = torch.randn(N, T, WIDTH)

    torch.manual_seed(11)
    out = attend(qkv, n_heads=H, mask=used_mask, dropout=share)
    expected = from_parts(qkv, used_mask, kept)

    torch.testing.assert_close(out, expected, atol=1e-6, rtol=1e-5)
    (gradient,) = torch.autograd.grad((out * weight).sum(), qkv)
    (expected_gradient,) = torch.autograd.grad((expected * weight).sum(), qkv)
    torch.testing.assert_close(gradient, expected_gradient, atol=1e-6, rtol=1e-5)


def test_both_ways_agree_where_nothing_is_dropped(qkv: Tensor, mask: Tensor) -> None:
    ours = DroppedAttention.apply(qkv, H, mask, 0.0)
    kernel = attend(qkv, n_heads=H, mask=mask, dropout=0.0)

    torch.testing.assert_close(ours, kernel, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(kernel, from_parts(qkv, mask, 1.0), atol=1e-6, rtol=1e-5)


def test_dropped_attention_is_right_on_average(qkv: Tensor, mask: Tensor) -> None:
    with torch.no_grad():
        draws = [attend(qkv, n_heads=H, mask=mask, dropout=0.3) for _ in range(1000)]
        expected = attend(qkv, n_heads=H, mask=mask, dropout=0.0)

    torch.testing.assert_close(torch.stack(draws).mean(0), expected, atol=0.15, rtol=0)


def test_the_gradient_may_be_taken_twice_and_is_the_same(qkv: Tensor) -> None:
    out = attend(qkv, n_heads=H, mask=None, dropout=0.5).square().sum()

    (first,) = torch.autograd.grad(out, qkv, retain_graph=True)
    (second,) = torch.autograd.grad(out, qkv)

    assert torch.equal(first, second)


def test_one_position_gathers_what_it_gathers_among_all(qkv: Tensor, mask: Tensor) -> None:
    query, key_value = qkv.split([WIDTH, 2 * WIDTH], dim=-1)

    one = attend_from(query[:, 2:3], key_value, n_heads=H, mask=mask, dropout=0.0)

    everywhere = attend(qkv, n_heads=H, mask=mask, dropout=0.0)
    torch.testing.assert_close(one, everywhere[:, 2:3], atol=1e-6, rtol=1e-5)
