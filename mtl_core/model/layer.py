"""One Transformer layer over all positions of a pass (Vaswani et al., 2017), pre-norm or post-norm.

Each run of positions has its own bank of weights (`grouped.py`). The stream of a text stays in
float32; products and what is between them are in the type of the pass.
Shapes: P positions, N texts, R runs, D width, F inner width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.model.attention import Segment, attend, attend_from
from mtl_core.model.banks import Tables
from mtl_core.model.config import EncoderConfig
from mtl_core.model.dropout import Span, drop_mask
from mtl_core.model.grouped import Bounds, grouped_linear, grouped_norm


class LayerBanks(NamedTuple):
    """The weights of a layer, of each run of positions the bank that it uses, in one or each.

    Queries, keys and values stand side by side in one product.
    """

    norm1_weight: Tables  # (R, D)
    norm1_bias: Tables
    qkv_weight: Tables  # (R, D, 3 D)
    qkv_bias: Tables
    out_weight: Tables  # (R, D, D)
    out_bias: Tables
    norm2_weight: Tables  # (R, D)
    norm2_bias: Tables
    up_weight: Tables  # (R, D, F)
    up_bias: Tables
    down_weight: Tables  # (R, F, D)
    down_bias: Tables


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
    norm: Literal["pre", "post"] = "pre"
    activation: Literal["relu", "gelu"] = "relu"
    norm_eps: float = 1e-5
    reading: Reading | None = None


def run_layer(x: Tensor, work: LayerWork) -> Tensor:
    """Return the layer's output, (P, D); of the positions that are read alone, (N, D), if any.

    Args:
        x: (P, D), float32 or wider.
    """
    return _post_norm(x, work) if work.norm == "post" else _pre_norm(x, work)


def _pre_norm(x: Tensor, work: LayerWork) -> Tensor:
    bounds = work.bounds
    mixed = _attention(_norm(x, 1, work, bounds, work.dtype), work)
    if work.reading is not None:
        x, bounds = x[work.reading.places], work.reading.bounds
    x = x + mixed.to(x.dtype)
    return x + _feed_forward(_norm(x, 2, work, bounds, work.dtype), work).to(x.dtype)


def _post_norm(x: Tensor, work: LayerWork) -> Tensor:
    bounds, stream = work.bounds, x.dtype
    mixed = _attention(x.to(work.dtype), work)
    if work.reading is not None:
        x, bounds = x[work.reading.places], work.reading.bounds
    x = _norm(x + mixed.to(stream), 1, work, bounds, stream)
    return _norm(x + _feed_forward(x.to(work.dtype), work).to(stream), 2, work, bounds, stream)


def _norm(x: Tensor, which: int, work: LayerWork, bounds: Bounds, dtype: torch.dtype) -> Tensor:
    banks = work.banks
    weights, biases = (
        (banks.norm1_weight, banks.norm1_bias)
        if which == 1
        else (banks.norm2_weight, banks.norm2_bias)
    )
    return grouped_norm(x, weights, biases, bounds, dtype, eps=work.norm_eps)


def _attention(x: Tensor, work: LayerWork) -> Tensor:
    """Return what the positions gather, (P, D), or those that are read alone, (N, D)."""
    banks, bounds, spans = work.banks, work.bounds, work.spans
    if work.reading is None:
        qkv = grouped_linear(x, banks.qkv_weight, banks.qkv_bias, bounds)
        mixed = attend(qkv, work.segments, work.n_heads)
    else:
        mixed = _attend_from_read(x, work)
        bounds, spans = work.reading.bounds, work.reading.spans
    return drop(grouped_linear(mixed, banks.out_weight, banks.out_bias, bounds), spans)


def _feed_forward(x: Tensor, work: LayerWork) -> Tensor:
    banks, at = work.banks, work.reading or work
    inner = grouped_linear(x, banks.up_weight, banks.up_bias, at.bounds)  # (P, F)
    inner = inner.relu_() if work.activation == "relu" else F.gelu(inner)
    inner = drop(inner, at.spans)
    return drop(grouped_linear(inner, banks.down_weight, banks.down_bias, at.bounds), at.spans)


def drop(x: Tensor, spans: Sequence[Span]) -> Tensor:
    """Return x with a share of each span dropped."""
    mask = drop_mask(spans, x.shape[1], x.dtype, x.device)
    return x if mask is None else x * mask


def _attend_from_read(normed: Tensor, work: LayerWork) -> Tensor:
    """Return what the positions that are read gather, (N, D)."""
    assert work.reading is not None
    banks, width = work.banks, normed.shape[1]
    weights, biases = (
        _columns(tables, [width, 2 * width]) for tables in (banks.qkv_weight, banks.qkv_bias)
    )
    read = normed[work.reading.places]
    query = grouped_linear(read, weights[0], biases[0], work.reading.bounds)
    key_value = grouped_linear(normed, weights[1], biases[1], work.bounds)
    return attend_from(query, key_value, work.segments, work.n_heads)


def _columns(tables: Tables, widths: list[int]) -> list[Tables]:
    """Return the tables cut into parts of these widths."""
    if isinstance(tables, Tensor):
        return list(torch.split(tables, widths, dim=-1))
    return list(zip(*(torch.split(table, widths, dim=-1) for table in tables), strict=True))
