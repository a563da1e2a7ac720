"""Attention over packed texts against the same computed from its parts by autograd."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.model import attention_by_heads
from mtl_core.model.attention import attend, attention_of_first
from mtl_core.model.dropout import Noise, kept_scale
from mtl_core.model.segment import Segment

H, WIDTH = 2, 6
WIDTHS, TEXTS = (8, 1, 5), (4, 3, 2)
S = 2  # tokens
N, P = sum(TEXTS), sum(n * t for n, t in zip(TEXTS, WIDTHS, strict=True))
CPU = torch.device("cpu")


def make_segments(share: float, padded: bool) -> list[Segment]:
    """Return three segments: some texts of each width, the first of each as long as that."""
    segments, start, first = [], 0, 0
    for number, (texts, width) in enumerate(zip(TEXTS, WIDTHS, strict=True)):
        lengths = torch.tensor([width, *[1 + width // 2] * (texts - 1)])
        bias = torch.zeros(texts, width, dtype=torch.float64)
        bias[torch.arange(width) >= lengths[:, None]] = -torch.inf
        noise = Noise(CPU, seed=number) if share else None
        segments.append(Segment(start, first, texts, width, bias if padded else None, noise, share))
        start, first = start + texts * width, first + texts
    return segments


def from_parts(qkv: Tensor, segments: list[Segment]) -> Tensor:
    """Return what every position gathers, (P, D), with the weights that are dropped first drawn."""
    outs = []
    for segment in segments:
        own = qkv[segment.start : segment.start + segment.texts * segment.width]
        parts = own.view(segment.texts, segment.width, 3, H, -1).permute(2, 0, 3, 1, 4)
        query, key, value = parts
        scores = query @ key.transpose(2, 3) / (WIDTH // H) ** 0.5
        if segment.bias is not None:
            scores = scores + segment.bias[:, None, None]
        if segment.gates is not None:
            scores = scores + F.pad(segment.gates, (0, segment.width - S))[:, None, None]
        if segment.hidden is not None:
            later = torch.arange(segment.width) >= S
            hidden = F.pad(segment.hidden, (0, segment.width - S))[:, None, None]
            scores = torch.where(later[:, None], scores + hidden, scores)
        weights = scores.softmax(-1)
        if segment.noise is not None:
            drawn = attention_by_heads._padded(segment.width, qkv)  # for keys that pad a vector too
            kept = torch.empty(*weights.shape[:-1], drawn, dtype=weights.dtype)
            segment.noise.write_kept(segment.share, out=kept)
            weights = weights * kept[..., : segment.width] * kept_scale(segment.share)
        outs.append((weights @ value).transpose(1, 2).reshape(-1, WIDTH))
    return torch.cat(outs)


@pytest.fixture
def qkv() -> Tensor:
    return torch.randn(P, 3 * WIDTH, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("chunk", [1 << 21, 2 * 8 * 8 * 8, 1])
def test_attention_and_its_gradient_are_those_of_its_parts(
    qkv: Tensor, share: float, padded: bool, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention_by_heads, "_CHUNK_BYTES", chunk)
    weight = torch.randn(P, WIDTH, dtype=torch.float64)

    out = attend(qkv, make_segments(share, padded), H)
    expected = from_parts(qkv, make_segments(share, padded))

    torch.testing.assert_close(out, expected, atol=1e-12, rtol=1e-9)
    (gradient,) = torch.autograd.grad((out * weight).sum(), qkv)
    (expected_gradient,) = torch.autograd.grad((expected * weight).sum(), qkv)
    torch.testing.assert_close(gradient, expected_gradient, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.4])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("chunk", [1 << 21, 2 * 8 * 8 * 8, 1])
def test_first_keys_are_hidden_from_later_queries_and_gated_with_a_gradient(
    qkv: Tensor,
    share: float,
    padded: bool,
    gated: bool,
    chunk: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attention_by_heads, "_CHUNK_BYTES", chunk)
    gates = [torch.randn(texts, S, dtype=torch.float64, requires_grad=gated) for texts in TEXTS]
    weight, leaves = torch.randn(P, WIDTH, dtype=torch.float64), [qkv]
    leaves += [gates[0], gates[2]] if gated else []

    out = attend(qkv, with_tokens(make_segments(share, padded), gates), H)
    expected = from_parts(qkv, with_tokens(make_segments(share, padded), gates))

    torch.testing.assert_close(out, expected, atol=1e-12, rtol=1e-9)
    found = torch.autograd.grad((out * weight).sum(), leaves)
    wanted = torch.autograd.grad((expected * weight).sum(), leaves)
    for gradient, expected_gradient in zip(found, wanted, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, atol=1e-12, rtol=1e-9)


def with_tokens(segments: list[Segment], gates: list[Tensor]) -> list[Segment]:
    """Return the segments, those with room for them with S tokens, the first of each hidden."""
    changed = []
    for segment, of_segment in zip(segments, gates, strict=True):
        hidden = torch.tensor([-torch.inf, 0.0], dtype=torch.float64).repeat(segment.texts, 1)
        wide = segment.width > S
        changed.append(segment._replace(hidden=hidden, gates=of_segment) if wide else segment)
    return changed


def test_keys_are_padded_to_whole_vectors_where_that_adds_little() -> None:
    widths = [1, 14, 16, 17, 30, 43, 60, 130, 143, 400]

    single, half = (
        [attention_by_heads._padded(width, torch.empty(0, dtype=dtype)) for width in widths]
        for dtype in (torch.float32, torch.bfloat16)
    )

    assert single == [16, 16, 16, 17, 32, 48, 64, 144, 144, 400]
    assert half == [1, 14, 16, 17, 32, 43, 64, 130, 160, 416]


def test_dropped_attention_is_right_on_average(qkv: Tensor) -> None:
    noise = Noise(CPU, seed=3)
    segments = [segment._replace(noise=noise) for segment in make_segments(0.3, True)]
    with torch.no_grad():
        draws = [attend(qkv, segments, H) for _ in range(1000)]
        expected = attend(qkv, make_segments(0.0, True), H)

    torch.testing.assert_close(torch.stack(draws).mean(0), expected, atol=0.15, rtol=0)


def test_the_gradient_may_be_taken_twice_and_is_the_same(qkv: Tensor) -> None:
    out = attend(qkv, make_segments(0.5, True), H).square().sum()

    (first,) = torch.autograd.grad(out, qkv, retain_graph=True)
    (second,) = torch.autograd.grad(out, qkv)

    assert torch.equal(first, second)


def test_in_bfloat16_it_is_the_same_to_a_percent(
    qkv: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention_by_heads, "_padded", lambda width, _: width + 3)  # as many draws
    low = qkv.detach().bfloat16().requires_grad_()
    segments = [
        s._replace(bias=None if s.bias is None else s.bias.bfloat16())
        for s in make_segments(0.2, True)
    ]

    out = attend(low, segments, H)
    expected = attend(qkv, make_segments(0.2, True), H)

    assert (out.double() - expected).norm() < 1e-2 * expected.norm()
    (gradient,) = torch.autograd.grad(out.square().sum(), low)
    (expected_gradient,) = torch.autograd.grad(expected.square().sum(), qkv)
    assert (gradient.double() - expected_gradient).norm() < 2e-2 * expected_gradient.norm()


def test_weights_that_are_shown_leave_out_keys_that_the_kernel_would(qkv: Tensor) -> None:
    segment = make_segments(0.0, padded=True)[0]
    assert segment.bias is not None
    counted = segment._replace(bias=None, valid=(segment.bias == 0).sum(1).numpy())

    shown = [attention_of_first(qkv, one, H, S) for one in (segment, counted)]

    assert torch.equal(*shown)


@pytest.mark.parametrize("gated", [False, True])
def test_weights_that_are_shown_are_those_that_were_used(qkv: Tensor, gated: bool) -> None:
    segments = make_segments(0.0, padded=True)
    if gated:
        segments = [segments[0]._replace(gates=torch.randn(TEXTS[0], S, dtype=torch.float64))]
    qkv = qkv.detach()[: sum(segment.texts * segment.width for segment in segments)]
    gathered = attend(qkv, segments, H)
    for segment in segments:
        n_first = min(S, segment.width)

        weights = attention_of_first(qkv, segment, H, n_first)

        own = slice(segment.start, segment.start + segment.texts * segment.width)
        values = qkv[own].view(segment.texts, segment.width, 3, H, -1)[:, :, 2].transpose(1, 2)
        expected = gathered[own].view(segment.texts, segment.width, WIDTH)[:, :n_first]
        torch.testing.assert_close((weights @ values).transpose(1, 2).flatten(2), expected)
