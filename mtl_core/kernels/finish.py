"""What follows a product of runs: bias, ReLU, dropout, and what the result is added to, in one go.

On a GPU each of them alone takes as long as it takes to read and write all numbers once.
Shapes: P places, R runs, D width.
"""

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from mtl_core.kernels.dropout import BLOCK, Dropped, span_table
from mtl_core.kernels.random_bits import is_kept
from mtl_core.kernels.tiles import aligned_like, tiles_of

_ROWS = 32  # of a program


def finish(
    product: Tensor,
    biases: Tensor,
    spans: Sequence[Dropped],
    *,
    relu: bool = False,
    added_to: Tensor | None = None,
) -> Tensor:
    """Return `added_to` + dropout(activation(product + bias)), (P, D).

    Args:
        product: (P, D); rows may stand apart.
        biases: Of each run, (R, D) float32.
        spans: The runs.
        added_to: (P, D); the result has its type, else that of the product. Not after a ReLU, whose
            gradient is known by where the result is 0.
    """
    assert not (relu and added_to is not None)
    return _Finish.apply(product, biases, added_to, spans, relu)


class _Finish(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        product: Tensor,
        biases: Tensor,
        added_to: Tensor | None,
        spans: Sequence[Dropped],
        relu: bool,
    ) -> Tensor:
        width = product.shape[1]
        tiles = tiles_of(tuple((s.start, s.end) for s in spans), _ROWS, product.device)
        table, drops = span_table(spans, product.device), any(span.share for span in spans)
        biases = biases.contiguous()
        if added_to is None:
            out = aligned_like(product, product.dtype)
        else:
            added_to = added_to.contiguous()
            out = torch.empty_like(added_to)
        _finish[(len(tiles), triton.cdiv(width, BLOCK))](
            product, biases, product if added_to is None else added_to, out, tiles, table,
            product.stride(0), out.stride(0), width,
            RELU=relu, DROPS=drops, ADDS=added_to is not None, ROWS=_ROWS, BLOCK=BLOCK,
        )  # fmt: skip
        ctx.save_for_backward(out if relu else None, biases, tiles, table)
        ctx.relu, ctx.drops, ctx.dtype = relu, drops, product.dtype
        ctx.adds = added_to is not None
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        out, biases, tiles, table = ctx.saved_tensors
        gradient, width = gradients[0], biases.shape[1]
        gradient = gradient if gradient.stride(1) == 1 else gradient.contiguous()
        of_product = aligned_like(gradient, ctx.dtype)
        of_biases = torch.zeros_like(biases)
        _finish_backward[(len(tiles), triton.cdiv(width, BLOCK))](
            gradient, gradient if out is None else out, of_product, of_biases, tiles, table,
            gradient.stride(0), 0 if out is None else out.stride(0), of_product.stride(0), width,
            RELU=ctx.relu, DROPS=ctx.drops, ROWS=_ROWS, BLOCK=BLOCK,
        )  # fmt: skip
        return of_product, of_biases, gradient if ctx.adds else None, None, None


@triton.jit
def _finish(
    product, biases, added_to, out, tiles, table, of_product, of_out, width,
    RELU: tl.constexpr, DROPS: tl.constexpr, ADDS: tl.constexpr,
    ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    tile = tiles + tl.program_id(0) * 3
    run = tl.load(tile)
    rows = tl.load(tile + 1) + tl.arange(0, ROWS)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    there = columns < width
    inside = (rows < tl.load(tile + 2))[:, None] & there[None, :]
    places = rows.to(tl.int64)[:, None]
    values = tl.load(product + places * of_product + columns[None, :], mask=inside, other=0.0)
    bias = tl.load(biases + run * width + columns, mask=there, other=0.0)
    values = values.to(tl.float32) + bias[None, :]
    if RELU:
        values = tl.maximum(values, 0.0)
    if DROPS:
        span = table + run * 5
        number = (rows - tl.load(span))[:, None] * width + columns[None, :]
        kept = is_kept(number, tl.load(span + 1), tl.load(span + 2), tl.load(span + 3))
        scale = tl.load(span + 4).to(tl.float32, bitcast=True)
        values = tl.where(kept, values * scale, 0.0)
    at = places * of_out + columns[None, :]
    if ADDS:
        values += tl.load(added_to + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + at, values, mask=inside)


@triton.jit
def _finish_backward(
    gradient, out, to_product, to_biases, tiles, table, of_gradient, of_out, of_product, width,
    RELU: tl.constexpr, DROPS: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    tile = tiles + tl.program_id(0) * 3
    run = tl.load(tile)
    rows = tl.load(tile + 1) + tl.arange(0, ROWS)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    there = columns < width
    inside = (rows < tl.load(tile + 2))[:, None] & there[None, :]
    places = rows.to(tl.int64)[:, None]
    values = tl.load(gradient + places * of_gradient + columns[None, :], mask=inside, other=0.0)
    values = values.to(tl.float32)
    span = table + run * 5
    if DROPS:
        values *= tl.load(span + 4).to(tl.float32, bitcast=True)
    if RELU:  # what was dropped is 0 too
        came = tl.load(out + places * of_out + columns[None, :], mask=inside, other=0.0)
        values = tl.where(came > 0, values, 0.0)
    elif DROPS:
        number = (rows - tl.load(span))[:, None] * width + columns[None, :]
        kept = is_kept(number, tl.load(span + 1), tl.load(span + 2), tl.load(span + 3))
        values = tl.where(kept, values, 0.0)
    tl.store(to_product + places * of_product + columns[None, :], values, mask=inside)
    tl.atomic_add(to_biases + run * width + columns, tl.sum(values, 0), mask=there)
