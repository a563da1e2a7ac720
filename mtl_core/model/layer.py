"""One Transformer layer over all positions of a pass (Vaswani et al., 2017), pre-norm or post-norm.

Each run of positions has its own bank of weights (`grouped.py`). The stream of a text stays in
float32; products and what is between them are in the type of the pass.
Shapes: P positions, N texts, R runs, D width, F inner width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from mtl_core.kernels.tiles import Bounds
from mtl_core.model.attention import attend, attend_from, in_one_call
from mtl_core.model.attention_of_one import KeyValueBanks, attend_from_one
from mtl_core.model.banks import Tables
from mtl_core.model.config import EncoderConfig
from mtl_core.model.dropout import Span
from mtl_core.model.grouped import grouped_norm
from mtl_core.model.linear import linear
from mtl_core.model.segment import Segment


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
        watch: Shown queries, keys and values of all positions, (P, 3 D).
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
    watch: Callable[[Tensor], None] | None = None


def run_layer(x: Tensor, work: LayerWork) -> Tensor:
    """Return the layer's output, (P, D); of the positions that are read alone, (N, D), if any.

    Args:
        x: (P, D), float32 or wider.
    """
    return _post_norm(x, work) if work.norm == "post" else _pre_norm(x, work)


def _pre_norm(x: Tensor, work: LayerWork) -> Tensor:
    bounds = work.bounds
    normed = _norm(x, 1, work, bounds, work.dtype)
    if work.reading is not None:
        x, bounds = x[work.reading.places], work.reading.bounds
    x = _add_attention(x, normed, work)
    return _add_feed_forward(x, _norm(x, 2, work, bounds, work.dtype), work)


def _post_norm(x: Tensor, work: LayerWork) -> Tensor:
    bounds, stream = work.bounds, x.dtype
    given = x.to(work.dtype)
    if work.reading is not None:
        x, bounds = x[work.reading.places], work.reading.bounds
    x = _norm(_add_attention(x, given, work), 1, work, bounds, stream)
    return _norm(_add_feed_forward(x, x.to(work.dtype), work), 2, work, bounds, stream)


def _norm(x: Tensor, which: int, work: LayerWork, bounds: Bounds, dtype: torch.dtype) -> Tensor:
    banks = work.banks
    weights, biases = (
        (banks.norm1_weight, banks.norm1_bias)
        if which == 1
        else (banks.norm2_weight, banks.norm2_bias)
    )
    return grouped_norm(x, weights, biases, bounds, dtype, eps=work.norm_eps)


def _add_attention(x: Tensor, given: Tensor, work: LayerWork) -> Tensor:
    """Return x plus what it gathers: all positions, (P, D), or those that are read alone, (N, D).

    Args:
        given: All positions, in the type of the products.
    """
    banks, at = work.banks, work.reading or work
    if work.watch is not None:
        work.watch(linear(given, banks.qkv_weight, banks.qkv_bias, work.bounds))
    if work.reading is None:
        qkv = linear(given, banks.qkv_weight, banks.qkv_bias, work.bounds)
        mixed = attend(qkv, work.segments, work.n_heads)
    else:
        mixed = _attend_from_read(given, work)
    return linear(mixed, banks.out_weight, banks.out_bias, at.bounds, at.spans, added_to=x)


def _add_feed_forward(x: Tensor, given: Tensor, work: LayerWork) -> Tensor:
    banks, at = work.banks, work.reading or work
    inner = linear(
        given, banks.up_weight, banks.up_bias, at.bounds, at.spans, activation=work.activation
    )  # (P, F)
    return linear(inner, banks.down_weight, banks.down_bias, at.bounds, at.spans, added_to=x)


def _attend_from_read(normed: Tensor, work: LayerWork) -> Tensor:
    """Return what the positions that are read gather, (N, D)."""
    assert work.reading is not None
    banks, width, bounds = work.banks, normed.shape[1], work.reading.bounds
    by_kernel = in_one_call(work.segments)  # which takes keys and values
    parts = [width, 2 * width] if by_kernel else [width] * 3
    weights, biases = (_columns(tables, parts) for tables in (banks.qkv_weight, banks.qkv_bias))
    query = linear(normed[work.reading.places], weights[0], biases[0], bounds)
    if by_kernel:
        key_value = linear(normed, weights[1], biases[1], work.bounds)
        return attend_from(query, key_value, work.segments, work.n_heads)
    key_value_banks = KeyValueBanks(weights[1], weights[2], biases[2])
    return attend_from_one(query, normed, key_value_banks, bounds, work.segments, work.n_heads)


def _columns(tables: Tables, widths: list[int]) -> list[Tables]:
    """Return the tables cut into parts of these widths."""
    if isinstance(tables, Tensor):
        return list(torch.split(tables, widths, dim=-1))
    return list(zip(*(torch.split(table, widths, dim=-1) for table in tables), strict=True))
