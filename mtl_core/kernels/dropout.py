"""Dropout of several spans at once, each by its own key and share (Srivastava et al., 2014).

The mask is made again in the backward pass (`random_bits.py`).
Shapes: P places, S spans, D width.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from mtl_core.kernels.random_bits import is_kept
from mtl_core.kernels.tiles import as_words, scale_as_words, tiles_of, to_device

_ROWS, BLOCK = 32, 128  # places and numbers of each, of a program
_WHOLE = 1 << 32


class Dropped(NamedTuple):
    """Places start to end, of which a share is dropped by two keys of 32 bits.

    Args:
        first: From which place units are counted: where a lane begins.
    """

    start: int
    end: int
    first: int
    share: float
    keys: tuple[int, int]


def dropout(x: Tensor, spans: Sequence[Dropped]) -> Tensor:
    """Return x with a share of each span 0 and the rest scaled up, (P, D).

    Args:
        x: (P, D); the spans are all of it, in order.
    """
    bounds = tuple((span.start, span.end) for span in spans)
    tiles = tiles_of(bounds, _ROWS, x.device)
    return _Dropout.apply(x, tiles, span_table(spans, x.device))


def thresholds(shares: Sequence[float]) -> np.ndarray:
    """Return below which of 2^32 numbers a unit is dropped, as int32 with the bits of these."""
    return as_words([min(round(share * _WHOLE), _WHOLE - 1) for share in shares])


def span_table(spans: Sequence[Dropped], device: torch.device) -> Tensor:
    """Return first place, keys, threshold and scale of each span, (S, 5) int32."""
    shares = [span.share for span in spans]
    columns = [
        np.array([span.first for span in spans]),
        as_words([span.keys[0] for span in spans]),
        as_words([span.keys[1] for span in spans]),
        thresholds(shares),
        scale_as_words([1 / (1 - share) for share in shares]),
    ]
    return to_device(np.stack(columns, axis=1), device)


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
