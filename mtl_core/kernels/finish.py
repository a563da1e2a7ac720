"""What follows a product of runs: bias, ReLU, dropout, and what the result is added to, in one go.

On a GPU each of them alone takes as long as it takes to read and write all numbers once.
Shapes: P places, R runs, D width.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from mtl_core.kernels.dropout import BLOCK
from mtl_core.kernels.random_bits import is_kept
from mtl_core.kernels.tiles import Bounds, aligned_like, tiles_of

_ROWS = 32  # of a program, at a time
_TIMES_BACK = 4  # one after the other, whose sums are added at once


class Finish(NamedTuple):
    """What is to follow a product.

    Args:
        tiles, tiles_back: Of the runs, there and back.
        table: What is dropped of each; None: nothing.
        relu: Not where something is added besides: the gradient of a ReLU is known by where the
            result is 0.
    """

    tiles: Tensor
    tiles_back: Tensor
    table: Tensor | None
    relu: bool


def plan_finish(bounds: Bounds, table: Tensor | None, device: torch.device, relu: bool) -> Finish:
    """Return what is to follow a product of these runs.

    Args:
        table: What is dropped of each (`dropout.span_table`); None: nothing.
    """
    there = tiles_of(bounds, _ROWS, device)
    return Finish(there, tiles_of(bounds, _ROWS * _TIMES_BACK, device), table, relu)


def finish(product: Tensor, biases: Tensor, todo: Finish, added_to: Tensor | None) -> Tensor:
    """Return `added_to` + dropout(activation(product + bias)), (P, D).

    Args:
        product: (P, D), rows may stand apart; overwritten by the result where nothing is added.
        biases: Of each run, (R, D) float32, rows without gaps.
        added_to: (P, D), rows without gaps; the result has its type, else that of the product.
    """
    assert not (todo.relu and added_to is not None)
    width = product.shape[1]
    out = product if added_to is None else torch.empty_like(added_to)
    _finish[(len(todo.tiles), triton.cdiv(width, BLOCK))](
        product, biases, product if added_to is None else added_to, out, todo.tiles,
        todo.tiles if todo.table is None else todo.table,
        product.stride(0), out.stride(0), width,
        RELU=todo.relu, DROPS=todo.table is not None, ADDS=added_to is not None,
        ROWS=_ROWS, BLOCK=BLOCK,
    )  # fmt: skip
    return out


def finish_backward(
    gradient: Tensor, out: Tensor | None, biases: Tensor, todo: Finish, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Return the gradients of the product, as `dtype`, and of the biases.

    Args:
        out: The result, after a ReLU.
    """
    width = gradient.shape[1]
    gradient = gradient if gradient.stride(1) == 1 else gradient.contiguous()
    # That of a product to which nothing but a bias was added is the one that is given.
    same = todo.table is None and not todo.relu and gradient.dtype is dtype
    of_product = gradient if same else aligned_like(gradient, dtype)
    of_biases = torch.zeros_like(biases)
    _finish_backward[(len(todo.tiles_back), triton.cdiv(width, BLOCK))](
        gradient, gradient if out is None else out, of_product, of_biases, todo.tiles_back,
        todo.tiles if todo.table is None else todo.table,
        gradient.stride(0), 0 if out is None else out.stride(0), of_product.stride(0), width,
        RELU=todo.relu, DROPS=todo.table is not None, STORES=not same,
        ROWS=_ROWS, TIMES=_TIMES_BACK, BLOCK=BLOCK,
    )  # fmt: skip
    return of_product, of_biases


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
    RELU: tl.constexpr, DROPS: tl.constexpr, STORES: tl.constexpr,
    ROWS: tl.constexpr, TIMES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    tile = tiles + tl.program_id(0) * 3
    run, first, end = tl.load(tile), tl.load(tile + 1), tl.load(tile + 2)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    there = columns < width
    span, bias = table + run * 5, tl.zeros([BLOCK], tl.float32)
    for time in range(TIMES):
        rows = first + time * ROWS + tl.arange(0, ROWS)
        inside = (rows < end)[:, None] & there[None, :]
        places = rows.to(tl.int64)[:, None]
        given = gradient + places * of_gradient + columns[None, :]
        values = tl.load(given, mask=inside, other=0.0).to(tl.float32)
        if DROPS:
            values *= tl.load(span + 4).to(tl.float32, bitcast=True)
        if RELU:  # what was dropped is 0 too
            came = tl.load(out + places * of_out + columns[None, :], mask=inside, other=0.0)
            values = tl.where(came > 0, values, 0.0)
        elif DROPS:
            number = (rows - tl.load(span))[:, None] * width + columns[None, :]
            kept = is_kept(number, tl.load(span + 1), tl.load(span + 2), tl.load(span + 3))
            values = tl.where(kept, values, 0.0)
        if STORES:
            tl.store(to_product + places * of_product + columns[None, :], values, mask=inside)
        bias += tl.sum(values, 0)
    tl.atomic_add(to_biases + run * width + columns, bias, mask=there)
