"""Layer norm with a weight and a bias for each run of places (Ba et al., 2016).

Shapes: P places, R runs, D width.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from mtl_core.kernels.tiles import Bounds, aligned_like, tiles_of

_ROWS = 8  # of a program
_ROWS_BACK, _TIMES_BACK = 16, 4  # at a time, one after the other: then their sums are added at once


def norm_runs(
    x: Tensor, weights: Tensor, biases: Tensor, bounds: Bounds, dtype: torch.dtype, eps: float
) -> Tensor:
    """Return the norm of each place by the weights of its run, (P, D), as `dtype`.

    Args:
        x: (P, D) float32.
        weights, biases: (R, D) float32.
    """
    return _Norm.apply(x, weights, biases, bounds, dtype, eps)


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weights: Tensor,
        biases: Tensor,
        bounds: Bounds,
        dtype: torch.dtype,
        eps: float,
    ) -> Tensor:
        x, weights, biases = x.contiguous(), weights.contiguous(), biases.contiguous()
        out, width = aligned_like(x, dtype), x.shape[1]
        tiles, block = tiles_of(bounds, _ROWS, x.device), triton.next_power_of_2(width)
        arguments = (x, weights, biases, out, tiles, out.stride(0), width, eps)
        _norm[(len(tiles),)](*arguments, ROWS=_ROWS, BLOCK=block)
        ctx.save_for_backward(x, weights)
        ctx.bounds, ctx.eps = bounds, eps
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weights = ctx.saved_tensors
        gradient, width = gradients[0], x.shape[1]
        gradient = gradient if gradient.stride(1) == 1 else gradient.contiguous()
        of_x = torch.empty_like(x)
        # Each a tensor of its own: a kernel is compiled anew for addresses aligned otherwise.
        of_weights, of_biases = torch.zeros_like(weights), torch.zeros_like(weights)
        tiles = tiles_of(ctx.bounds, _ROWS_BACK * _TIMES_BACK, x.device)
        _norm_backward[(len(tiles),)](
            x, weights, gradient, of_x, of_weights, of_biases, tiles,
            gradient.stride(0), width, ctx.eps,
            ROWS=_ROWS_BACK, TIMES=_TIMES_BACK, BLOCK=triton.next_power_of_2(width),
        )  # fmt: skip
        return of_x, of_weights, of_biases, None, None, None


@triton.jit
def _normed(x, there, width, eps):
    """Return the places with mean 0 and variance 1, and what they were divided by, inverted."""
    mean = tl.sum(x, 1) / width
    centred = tl.where(there, x - mean[:, None], 0.0)
    inverse = 1 / tl.sqrt(tl.sum(centred * centred, 1) / width + eps)
    return centred * inverse[:, None], inverse


@triton.jit
def _norm(
    x, weights, biases, out, tiles, of_out, width, eps, ROWS: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    tile = tiles + tl.program_id(0) * 3
    run = tl.load(tile)
    places = tl.load(tile + 1).to(tl.int64) + tl.arange(0, ROWS)
    columns = tl.arange(0, BLOCK)
    there = columns < width
    inside = (places < tl.load(tile + 2))[:, None] & there[None, :]
    at = places[:, None] * width + columns[None, :]
    normed, _ = _normed(tl.load(x + at, mask=inside, other=0.0), there[None, :], width, eps)
    weight = tl.load(weights + run * width + columns, mask=there, other=0.0)
    bias = tl.load(biases + run * width + columns, mask=there, other=0.0)
    to = places[:, None] * of_out + columns[None, :]
    tl.store(out + to, normed * weight[None, :] + bias[None, :], mask=inside)


@triton.jit
def _norm_backward(
    x, weights, gradient, of_x, of_weights, of_biases, tiles, of_gradient, width, eps,
    ROWS: tl.constexpr, TIMES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    tile = tiles + tl.program_id(0) * 3
    run, first, end = tl.load(tile), tl.load(tile + 1).to(tl.int64), tl.load(tile + 2)
    columns = tl.arange(0, BLOCK)
    there = columns < width
    weight = tl.load(weights + run * width + columns, mask=there, other=0.0)
    to_weights, to_biases = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    for time in range(TIMES):
        places = first + time * ROWS + tl.arange(0, ROWS)
        inside = (places < end)[:, None] & there[None, :]
        at = places[:, None] * width + columns[None, :]
        values = tl.load(x + at, mask=inside, other=0.0)
        normed, inverse = _normed(values, there[None, :], width, eps)
        given_at = places[:, None] * of_gradient + columns[None, :]
        given = tl.load(gradient + given_at, mask=inside, other=0.0).to(tl.float32)
        of_normed = given * weight[None, :]
        mean = tl.sum(of_normed, 1) / width
        along = tl.sum(of_normed * normed, 1) / width
        found = (of_normed - mean[:, None] - normed * along[:, None]) * inverse[:, None]
        tl.store(of_x + at, found, mask=inside)
        to_weights += tl.sum(given * normed, 0)
        to_biases += tl.sum(given, 0)
    tl.atomic_add(of_weights + run * width + columns, to_weights, mask=there)
    tl.atomic_add(of_biases + run * width + columns, to_biases, mask=there)
