"""Attention of texts of any lengths in one call, weights dropped by the key of each text's lane.

What a fused kernel does (Dao et al., 2022): scores are made a tile at a time and never kept, and
made again in the backward pass. PyTorch's own takes texts of different lengths too, but draws its
dropout by a text's place among all, so that of a lane would depend on its neighbours.
Shapes: P positions, N texts, T positions of a text, H heads, D width, d = D / H.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from mtl_core.kernels.dropout import thresholds
from mtl_core.kernels.random_bits import is_kept, mix
from mtl_core.kernels.tiles import aligned_like, as_words, numbered, scale_as_words, to_device

# Of a tile, and how many of these are loaded ahead: measured on an H200 with heads of 50
# (`tests/benchmarks/README.md`).
_QUERIES, _KEYS, _STAGES = 64, 64, 1
_LEAST = 16  # rows of a product
_COLUMNS = 10  # of the table of texts


class Texts(NamedTuple):
    """Neighbouring texts of one width, of one lane where weights are dropped.

    Args:
        first_key: The place of their first key.
        first_query: That of their first query.
        width: Keys of each text, and queries where these are not `one_query` each.
        valid: How many of the keys of each are no padding, at least 1; these come first, (texts,).
        share: Of the weights that is dropped.
    """

    first_key: int
    first_query: int
    width: int
    valid: np.ndarray
    one_query: bool
    share: float = 0.0


class Layout(NamedTuple):
    """Where the texts are, and which of their tiles a program takes; the same for many layers.

    Args:
        texts: (N, 10) int32, without keys; on the CPU.
        sizes: Texts of each group.
        of_queries, of_keys: Text and first row of each tile, (tiles, 2) int32.
        drops: Of each group, whether any of its weights are dropped.
        queries: Rows of a tile of queries.
    """

    texts: np.ndarray
    sizes: tuple[int, ...]
    of_queries: Tensor
    of_keys: Tensor
    drops: tuple[bool, ...]
    queries: int


def shared_bytes(d_head: int, dtype: torch.dtype) -> int:
    """Return how much shared memory a program takes at most, that of the keys' gradients.

    It is a bound on what Triton 3.9 says of compute capabilities 8.0 and 9.0: queries, keys and
    both gradients of a tile, and its scores twice.
    """
    tile = _QUERIES * _width_of_tile(d_head) * dtype.itemsize
    return 4 * tile + 2 * _QUERIES * _KEYS * torch.float32.itemsize


def lay_out(groups: Sequence[Texts], device: torch.device) -> Layout:
    """Return the layout of the texts of a pass."""
    sizes = [len(group.valid) for group in groups]
    of, number = numbered(np.array(sizes))
    widths, firsts, queries = (
        np.array(column)
        for column in zip(
            *((g.width, g.first_key, 1 if g.one_query else g.width) for g in groups), strict=True
        )
    )
    shares = np.array([group.share for group in groups])
    table = np.zeros((len(of), _COLUMNS), dtype=np.int32)
    table[:, 0] = np.array([group.first_query for group in groups])[of] + queries[of] * number
    table[:, 1] = queries[of]
    table[:, 2], table[:, 3] = firsts[of] + widths[of] * number, _together(groups)
    table[:, 4], table[:, 5] = widths[of], number
    table[:, 8], table[:, 9] = thresholds(shares)[of], scale_as_words(1 / (1 - shares))[of]
    rows = _LEAST if queries.max() == 1 else _QUERIES
    # Each a tensor of its own: a kernel is compiled anew for addresses that are aligned otherwise.
    tiles = (_tiles(table[:, 1], rows), _tiles(table[:, 4], _KEYS))
    of_queries, of_keys = (to_device(part, device) for part in tiles)
    drops = tuple((shares > 0).tolist())
    return Layout(table, tuple(sizes), of_queries, of_keys, drops, rows)


def _together(groups: Sequence[Texts]) -> np.ndarray:
    return np.concatenate([group.valid for group in groups])


def _with_keys(layout: Layout, keys: Sequence[tuple[int, int]], device: torch.device) -> Tensor:
    """Return of each text: first query, queries, first key, valid keys, all keys, its number among
    its group's, both keys of its dropout, threshold and scale, (N, 10)."""
    table = layout.texts
    if any(layout.drops):
        table = table.copy()
        table[:, 6:8] = np.repeat(as_words(keys), layout.sizes, axis=0)
    return to_device(table, device)


def _tiles(counts: np.ndarray, rows: int) -> np.ndarray:
    text, number = numbered(-(-counts // rows))
    return np.stack([text, number * rows], axis=1)


def attend_all(
    packed: Tensor,
    apart: Tensor | None,
    layout: Layout,
    n_heads: int,
    keys: Sequence[tuple[int, int]] = (),
) -> Tensor:
    """Return what each query gathers, (queries, D).

    Args:
        packed: Queries, keys and values, (P, 3 D), or keys and values, (P, 2 D); rows may stand
            apart.
        apart: The queries of one position of each text, (N, D).
        keys: Two of 32 bits for each group, by which its weights are dropped, if any are.
    """
    texts = _with_keys(layout, keys, packed.device)
    return _Attention.apply(packed, apart, layout, texts, n_heads)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        packed: Tensor,
        apart: Tensor | None,
        layout: Layout,
        texts: Tensor,
        n_heads: int,
    ) -> Tensor:
        query, key, value = _parts(packed, apart)
        out = aligned_like(query, query.dtype)
        sums = query.new_empty(len(query), n_heads, dtype=torch.float32)
        _attention[(len(layout.of_queries), n_heads)](
            query, key, value, out, sums, texts, layout.of_queries,
            query.stride(0), key.stride(0), out.stride(0), *_sizes(query, n_heads),
            M=layout.queries, N=_KEYS, DROPS=any(layout.drops), **_manner(query, n_heads),
        )  # fmt: skip
        ctx.save_for_backward(packed, apart, out, sums, texts)
        ctx.layout, ctx.n_heads = layout, n_heads
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        packed, apart, out, sums, texts = ctx.saved_tensors
        layout, n_heads, gradient = ctx.layout, ctx.n_heads, gradients[0]
        if gradient.stride() != out.stride():
            gradient = aligned_like(out, out.dtype).copy_(gradient)
        of_packed = aligned_like(packed, packed.dtype)
        of_apart = None if apart is None else aligned_like(apart, apart.dtype)
        query, key, value = _parts(packed, apart)
        to_query, to_key, to_value = _parts(of_packed, of_apart)
        common = (query, key, value, out, sums, gradient, texts)
        strides = (query.stride(0), key.stride(0), out.stride(0))
        manner = {"N": _KEYS, "M": layout.queries, "DROPS": any(layout.drops)}
        manner |= _manner(query, n_heads)
        _attention_of_queries[(len(layout.of_queries), n_heads)](
            *common, layout.of_queries, to_query, *strides, to_query.stride(0),
            *_sizes(query, n_heads), **manner,
        )  # fmt: skip
        _attention_of_keys[(len(layout.of_keys), n_heads)](
            *common, layout.of_keys, to_key, to_value, *strides, to_key.stride(0),
            *_sizes(query, n_heads), **manner,
        )  # fmt: skip
        return of_packed, of_apart, None, None, None


def _parts(packed: Tensor, apart: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries, keys and values, as views."""
    if apart is None:
        query, key, value = packed.chunk(3, dim=1)
        return query, key, value
    key, value = packed.chunk(2, dim=1)
    return apart, key, value


def _sizes(query: Tensor, n_heads: int) -> tuple[int, float]:
    d_head = query.shape[1] // n_heads
    return n_heads, d_head**-0.5 * 1.4426950408889634  # scores are powers of 2


def _manner(query: Tensor, n_heads: int) -> dict[str, Any]:
    d_head = query.shape[1] // n_heads
    exact = query.dtype is torch.float32
    return {
        "D": d_head,
        "BLOCK": _width_of_tile(d_head),
        "PRECISION": "ieee" if exact else "tf32",
        "num_stages": _STAGES,
    }


def _width_of_tile(d_head: int) -> int:
    return max(_LEAST, triton.next_power_of_2(d_head))


@triton.jit
def _kept(text, head, n_heads, rows, columns):
    """Return whether each weight of a tile is kept; those of a text and head have a key."""
    first = mix(tl.load(text + 5) * n_heads + head) ^ tl.load(text + 6).to(tl.uint32)
    number = rows.to(tl.uint32)[:, None] * 65536 + columns.to(tl.uint32)[None, :]
    return is_kept(number, first, tl.load(text + 7), tl.load(text + 8))


@triton.jit
def _rows_of(source, first, rows, there, stride, head, D: tl.constexpr, BLOCK: tl.constexpr):
    """Return rows of a head, (rows, BLOCK), with 0 where nothing is."""
    columns = tl.arange(0, BLOCK)
    at = (first.to(tl.int64) + rows)[:, None] * stride + (head * D + columns)[None, :]
    return tl.load(source + at, mask=there[:, None] & (columns < D)[None, :], other=0.0)


@triton.jit
def _put(out, values, first, rows, there, stride, head, D: tl.constexpr, BLOCK: tl.constexpr):
    columns = tl.arange(0, BLOCK)
    at = (first.to(tl.int64) + rows)[:, None] * stride + (head * D + columns)[None, :]
    tl.store(out + at, values, mask=there[:, None] & (columns < D)[None, :])


@triton.jit
def _attention(
    query, key, value, out, sums, texts, tiles, of_query, of_key, of_out, n_heads, scale,
    D: tl.constexpr, BLOCK: tl.constexpr, M: tl.constexpr, N: tl.constexpr,
    DROPS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    tile, head = tiles + tl.program_id(0) * 2, tl.program_id(1)
    text = texts + tl.load(tile) * 10
    first_query, first_key, n_keys = tl.load(text), tl.load(text + 2), tl.load(text + 3)
    rows = tl.load(tile + 1) + tl.arange(0, M)
    asks = rows < tl.load(text + 1)
    q = _rows_of(query, first_query, rows, asks, of_query, head, D, BLOCK)
    most = tl.full([M], -float("inf"), tl.float32)
    total, gathered = tl.zeros([M], tl.float32), tl.zeros([M, BLOCK], tl.float32)
    for start in range(0, n_keys, N):
        columns = start + tl.arange(0, N)
        there = columns < n_keys
        k = _rows_of(key, first_key, columns, there, of_key, head, D, BLOCK)
        v = _rows_of(value, first_key, columns, there, of_key, head, D, BLOCK)
        scores = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
        scores = tl.where(there[None, :], scores, -float("inf"))
        larger = tl.maximum(most, tl.max(scores, 1))
        weights, before = tl.exp2(scores - larger[:, None]), tl.exp2(most - larger)
        total = total * before + tl.sum(weights, 1)
        if DROPS:
            left = tl.load(text + 9).to(tl.float32, bitcast=True)
            weights = tl.where(_kept(text, head, n_heads, rows, columns), weights * left, 0.0)
        more = tl.dot(weights.to(v.dtype), v, input_precision=PRECISION)
        gathered, most = gathered * before[:, None] + more, larger
    _put(out, gathered / total[:, None], first_query, rows, asks, of_out, head, D, BLOCK)
    tl.store(sums + (first_query + rows) * n_heads + head, most + tl.log2(total), mask=asks)


@triton.jit
def _inside(
    q, k, v, o, g, logs, text, head, n_heads, rows, columns, scale, valid,
    DROPS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Return the weights of a tile as they were used, and the gradient of its scores."""
    scores = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
    weights = tl.where(valid, tl.exp2(scores - logs[:, None]), 0.0)
    of_weights = tl.dot(g, tl.trans(v), input_precision=PRECISION)
    used = weights
    if DROPS:
        left = tl.load(text + 9).to(tl.float32, bitcast=True)
        kept = _kept(text, head, n_heads, rows, columns)
        used = tl.where(kept, weights * left, 0.0)
        of_weights = tl.where(kept, of_weights * left, 0.0)
    inner = tl.sum(o.to(tl.float32) * g.to(tl.float32), 1)
    of_scores = weights * (of_weights - inner[:, None]) * (scale * 0.6931471805599453)
    return used, of_scores


@triton.jit
def _attention_of_queries(
    query, key, value, out, sums, gradient, texts, tiles, to_query,
    of_query, of_key, of_out, of_to, n_heads, scale,
    D: tl.constexpr, BLOCK: tl.constexpr, M: tl.constexpr, N: tl.constexpr,
    DROPS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    tile, head = tiles + tl.program_id(0) * 2, tl.program_id(1)
    text = texts + tl.load(tile) * 10
    first_query, first_key, n_keys = tl.load(text), tl.load(text + 2), tl.load(text + 3)
    rows = tl.load(tile + 1) + tl.arange(0, M)
    asks = rows < tl.load(text + 1)
    q = _rows_of(query, first_query, rows, asks, of_query, head, D, BLOCK)
    o = _rows_of(out, first_query, rows, asks, of_out, head, D, BLOCK)
    g = _rows_of(gradient, first_query, rows, asks, of_out, head, D, BLOCK)
    logs = tl.load(sums + (first_query + rows) * n_heads + head, mask=asks, other=0.0)
    found = tl.zeros([M, BLOCK], tl.float32)
    for start in range(0, n_keys, N):
        columns = start + tl.arange(0, N)
        there = columns < n_keys
        k = _rows_of(key, first_key, columns, there, of_key, head, D, BLOCK)
        v = _rows_of(value, first_key, columns, there, of_key, head, D, BLOCK)
        valid = asks[:, None] & there[None, :]
        _, of_scores = _inside(
            q, k, v, o, g, logs, text, head, n_heads, rows, columns, scale, valid, DROPS, PRECISION
        )
        found += tl.dot(of_scores.to(k.dtype), k, input_precision=PRECISION)
    _put(to_query, found, first_query, rows, asks, of_to, head, D, BLOCK)


@triton.jit
def _attention_of_keys(
    query, key, value, out, sums, gradient, texts, tiles, to_keys, to_values,
    of_query, of_key, of_out, of_to, n_heads, scale,
    D: tl.constexpr, BLOCK: tl.constexpr, M: tl.constexpr, N: tl.constexpr,
    DROPS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    tile, head = tiles + tl.program_id(0) * 2, tl.program_id(1)
    text = texts + tl.load(tile) * 10
    first_query, n_queries = tl.load(text), tl.load(text + 1)
    first_key, n_keys = tl.load(text + 2), tl.load(text + 3)
    columns = tl.load(tile + 1) + tl.arange(0, N)
    there = columns < n_keys
    k = _rows_of(key, first_key, columns, there, of_key, head, D, BLOCK)
    v = _rows_of(value, first_key, columns, there, of_key, head, D, BLOCK)
    of_keys, of_values = tl.zeros([N, BLOCK], tl.float32), tl.zeros([N, BLOCK], tl.float32)
    for start in range(0, n_queries, M):
        rows = start + tl.arange(0, M)
        asks = rows < n_queries
        q = _rows_of(query, first_query, rows, asks, of_query, head, D, BLOCK)
        o = _rows_of(out, first_query, rows, asks, of_out, head, D, BLOCK)
        g = _rows_of(gradient, first_query, rows, asks, of_out, head, D, BLOCK)
        logs = tl.load(sums + (first_query + rows) * n_heads + head, mask=asks, other=0.0)
        valid = asks[:, None] & there[None, :]
        used, of_scores = _inside(
            q, k, v, o, g, logs, text, head, n_heads, rows, columns, scale, valid, DROPS, PRECISION
        )
        of_values += tl.dot(tl.trans(used.to(g.dtype)), g, input_precision=PRECISION)
        of_keys += tl.dot(tl.trans(of_scores.to(q.dtype)), q, input_precision=PRECISION)
    within = columns < tl.load(text + 4)
    _put(to_keys, of_keys, first_key, columns, within, of_to, head, D, BLOCK)
    _put(to_values, of_values, first_key, columns, within, of_to, head, D, BLOCK)
