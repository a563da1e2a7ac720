"""One pre-norm Transformer layer over all positions of a pass (Vaswani et al., 2017).

Each run of positions has its own bank of weights (`grouped.py`). The stream of a text stays in
float32; products and what is between them are in the type of the pass.
Shapes: P positions, N texts, D width, F inner width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mtl_core.model.attention import Segment, attend, attend_from
from mtl_core.model.config import EncoderConfig
from mtl_core.model.dropout import Span, drop_mask
from mtl_core.model.grouped import Bounds, grouped_linear, grouped_norm


class LayerBanks(NamedTuple):
    """The weights of a layer, for each run of positions one bank of every kind.

    Queries, keys and values stand side by side in one product.
    """

    norm1_weight: Sequence[Tensor]  # of each run (D,)
    norm1_bias: Sequence[Tensor]
    qkv_weight: Sequence[Tensor]  # (D, 3 D)
    qkv_bias: Sequence[Tensor]
    out_weight: Sequence[Tensor]  # (D, D)
    out_bias: Sequence[Tensor]
    norm2_weight: Sequence[Tensor]  # (D,)
    norm2_bias: Sequence[Tensor]
    up_weight: Sequence[Tensor]  # (D, F)
    up_bias: Sequence[Tensor]
    down_weight: Sequence[Tensor]  # (F, D)
    down_bias: Sequence[Tensor]


def layer_shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of each table of a layer, without the bank dimension."""
    width, inner = config.d_model, config.d_ff
    shapes = [(width,), (width,), (width, 3 * width), (3 * width,), (width, width), (width,)]
    shapes += [(width,), (width,), (width, inner), (inner,), (inner, width), (width,)]
    return dict(zip(LayerBanks._fields, shapes, strict=True))


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The one position of each text that is read after a layer, where nothing else is needed.

    Args:
        places: Its place among the P positions, (N,).
        bounds: The texts of each run.
        spans: The texts of each part, with its dropout.
    """

    places: Tensor
    bounds: Bounds
    spans: Sequence[Span]


@dataclass(frozen=True, kw_only=True)
class LayerWork:
    """What a layer does besides its weights.

    Args:
        banks: The weights of the runs, whose positions are `bounds`.
        segments: The texts, by width.
        spans: The positions of each part, with its dropout.
        reading: None: every position is needed.
    """

    banks: LayerBanks
    bounds: Bounds
    segments: Sequence[Segment]
    spans: Sequence[Span]
    n_heads: int
    dtype: torch.dtype
    reading: Reading | None = None


def run_layer(x: Tensor, work: LayerWork) -> Tensor:
    """Return the layer's output, (P, D); of the positions that are read alone, (N, D), if any.

    Args:
        x: (P, D), float32 or wider.
    """
    banks, bounds, spans = work.banks, work.bounds, work.spans
    normed = grouped_norm(x, banks.norm1_weight, banks.norm1_bias, bounds, work.dtype)
    if work.reading is None:
        qkv = grouped_linear(normed, banks.qkv_weight, banks.qkv_bias, bounds)
        mixed = attend(qkv, work.segments, work.n_heads)
    else:
        mixed = _attend_from_read(normed, work)
        x, bounds, spans = x[work.reading.places], work.reading.bounds, work.reading.spans
    out = grouped_linear(mixed, banks.out_weight, banks.out_bias, bounds)
    x = add_dropped(x, out, spans)
    normed = grouped_norm(x, banks.norm2_weight, banks.norm2_bias, bounds, work.dtype)
    inner = grouped_linear(normed, banks.up_weight, banks.up_bias, bounds)  # (P, F)
    mask = drop_mask(spans, inner.shape[1], inner.dtype, inner.device)
    inner = _ReluDropped.apply(inner, mask)  # type: ignore[no-untyped-call]
    return add_dropped(x, grouped_linear(inner, banks.down_weight, banks.down_bias, bounds), spans)


def add_dropped(x: Tensor, y: Tensor, spans: Sequence[Span]) -> Tensor:
    """Return x + dropout(y) in the type of x."""
    mask = drop_mask(spans, y.shape[1], y.dtype, y.device)
    return _AddDropped.apply(x, y, mask)  # type: ignore[no-untyped-call]


def _attend_from_read(normed: Tensor, work: LayerWork) -> Tensor:
    """Return what the positions that are read gather, (N, D)."""
    assert work.reading is not None
    banks, width = work.banks, normed.shape[1]
    query = grouped_linear(
        normed[work.reading.places],
        [weight[:, :width] for weight in banks.qkv_weight],
        [bias[:width] for bias in banks.qkv_bias],
        work.reading.bounds,
    )
    key_value = grouped_linear(
        normed,
        [weight[:, width:] for weight in banks.qkv_weight],
        [bias[width:] for bias in banks.qkv_bias],
        work.bounds,
    )
    return attend_from(query, key_value, work.segments, work.n_heads)


class _AddDropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
        ctx.save_for_backward(mask)
        ctx.dtype = y.dtype
        if mask is None:
            return x + y.to(x.dtype)
        return torch.addcmul(x, y, mask) if y.dtype is x.dtype else x + (y * mask).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (mask,) = ctx.saved_tensors
        of_y = gradients[0].to(ctx.dtype)
        return gradients[0], of_y if mask is None else of_y * mask, None


class _ReluDropped(torch.autograd.Function):
    """relu(x), dropped, in place of x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor | None) -> Tensor:
        ctx.mark_dirty(x)
        x.relu_()
        if mask is not None:
            x.mul_(mask)
        ctx.save_for_backward(x, mask)
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        out, mask = ctx.saved_tensors
        gradient = gradients[0] if mask is None else gradients[0] * mask
        return torch.ops.aten.threshold_backward(gradient, out, 0), None
