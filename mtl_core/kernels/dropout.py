"""Dropout of several runs at once, each by its own key and share (Srivastava et al., 2014).

The mask is made again in the backward pass (`random_bits.py`).
Shapes: P places, R runs, D width.
"""

from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from mtl_core.kernels.random_bits import is_kept
from mtl_core.kernels.tiles import Bounds, as_words, scale_as_words, tiles_of

_ROWS, BLOCK = 32, 128  # places and numbers of each, of a program
_WHOLE = 1 << 32


def dropout(x: Tensor, bounds: Bounds, table: Tensor) -> Tensor:
    """Return x with a share of each run 0 and the rest scaled up, (P, D).

    Args:
        x: (P, D).
        bounds: The runs, which are all of it, in order.
        table: `span_table` with two keys of each run.
    """
    return _Dropout.apply(x, tiles_of(bounds, _ROWS, x.device), table)


def thresholds(shares: np.ndarray) -> np.ndarray:
    """Return below which of 2^32 numbers a unit is dropped, as int32 with the bits of these."""
    return as_words(np.minimum(np.rint(shares * _WHOLE), _WHOLE - 1).astype(np.uint32))


def span_table(firsts: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return from which place units are counted, two keys to be filled in, threshold and scale of
    each run, (R, 5) int32.

    Args:
        firsts: Where the lane of each run begins.
        shares: What is dropped of it.
    """
    table = np.zeros((len(firsts), 5), dtype=np.int32)
    table[:, 0], table[:, 3] = firsts, thresholds(shares)
    table[:, 4] = scale_as_words(1 / (1 - shares))
    return table


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, tiles: Tensor, table: Tensor) -> Tensor:
        ctx.save_for_backward(tiles, table)
        return _run(x, tiles, table)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return _run(gradients[0], *ctx.saved_tensors), None, None


def _run(x: Tensor, tiles: Tensor, table: Tensor) -> Tensor:
    x = x.contiguous()
    out, width = torch.empty_like(x), x.shape[1]
    grid = (len(tiles), triton.cdiv(width, BLOCK))
    _dropout[grid](x, out, tiles, table, width, ROWS=_ROWS, BLOCK=BLOCK)
    return out


@triton.jit
def _dropout(x, out, tiles, table, width, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    tile = tiles + tl.program_id(0) * 3
    span = table + tl.load(tile) * 5
    rows = tl.load(tile + 1) + tl.arange(0, ROWS)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = (rows < tl.load(tile + 2))[:, None] & (columns < width)[None, :]
    number = (rows - tl.load(span))[:, None] * width + columns[None, :]
    kept = is_kept(number, tl.load(span + 1), tl.load(span + 2), tl.load(span + 3))
    scale = tl.load(span + 4).to(tl.float32, bitcast=True)
    places = rows.to(tl.int64)[:, None] * width + columns[None, :]
    values = tl.load(x + places, mask=inside, other=0.0)
    tl.store(out + places, tl.where(kept, values * scale, 0.0), mask=inside)
