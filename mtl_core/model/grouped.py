"""Products and norms over runs of positions, each run with a bank of its own.

All lanes of a pass stand in one tensor of positions; here they meet their weights. On a GPU, where
many small operations would be bound by their launches, one grouped product goes over all banks. On
a CPU that costs as much as a product for each run, and these give a run the same bits whatever
other runs there are.
Shapes: P positions, R runs, K inner and F outer width.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.kernels.tiles import ALIGNMENT, Bounds, aligned_like
from mtl_core.kernels.usable import as_on_gpu, usable
from mtl_core.model.banks import Tables

# Numbers of a result. On a CPU, kernels for few rows or few columns round in another way where the
# result is not aligned; a new tensor always is, and copying one so small costs little.
_SMALL = 1 << 16


def as_one(device: torch.device, n_runs: int) -> bool:
    """Whether one operation goes over all runs of a pass on this device."""
    return as_on_gpu(device) and n_runs > 1


def grouped_linear(x: Tensor, weights: Tables, biases: Tables, bounds: Bounds) -> Tensor:
    """Return x W + b with the weights of each run, (P, F), in the type of x.

    Args:
        x: (P, K); its type is that of the products, sums are kept in float32.
        weights: (K, F) of each run; gradients come in their type.
        biases: (F,) of each run.
    """
    if len(bounds) == 1:
        return torch.addmm(biases[0].to(x.dtype), x, weights[0].to(x.dtype))
    if as_one(x.device, len(bounds)):
        return _StackedLinear.apply(x, weights, biases, bounds)  # type: ignore[no-untyped-call]
    return _GroupedLinear.apply(x, bounds, *weights, *biases)  # type: ignore[no-untyped-call]


def grouped_norm(
    x: Tensor,
    weights: Tables,
    biases: Tables,
    bounds: Bounds,
    dtype: torch.dtype,
    *,
    eps: float = 1e-5,
) -> Tensor:
    """Return the layer norm of x with the weights of each run, (P, D), as `dtype`.

    Args:
        x: (P, D), at least float32, as are the sums.
        weights, biases: (D,) of each run.
    """
    width = x.shape[-1:]
    if len(bounds) == 1:
        return F.layer_norm(x, width, weights[0], biases[0], eps).to(dtype)
    if as_one(x.device, len(bounds)):
        assert isinstance(weights, Tensor)
        assert isinstance(biases, Tensor)
        if usable(x.device, x.dtype):
            from mtl_core.kernels.norm import norm_runs

            return norm_runs(x, weights, biases, bounds, dtype, eps)
        normed = F.layer_norm(x, width, eps=eps)
        return torch.addcmul(_spread(biases, bounds), normed, _spread(weights, bounds)).to(dtype)
    pieces = zip(_parts(x, bounds), weights, biases, strict=True)
    parts = [F.layer_norm(part, width, weight, bias, eps) for part, weight, bias in pieces]
    return torch.cat(parts).to(dtype)


class _GroupedLinear(torch.autograd.Function):
    """A product for each run; `tables` are the weights of all runs, then the biases."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bounds: Bounds, *tables: Tensor) -> Tensor:
        used = [table.to(x.dtype) for table in tables]
        weights, biases = used[: len(bounds)], used[len(bounds) :]
        ctx.save_for_backward(x, *weights)
        ctx.bounds, ctx.dtype = bounds, tables[0].dtype
        out = x.new_empty(len(x), len(biases[0]))
        parts = zip(_parts(x, bounds), weights, biases, _parts(out, bounds), strict=True)
        for part, weight, bias, of_out in parts:
            _write(of_out, partial(torch.addmm, bias, part, weight))
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, *weights = ctx.saved_tensors
        of_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        pieces, of_out = _parts(x, ctx.bounds), _parts(gradient, ctx.bounds)
        if of_x is not None:
            for part, weight, mine in zip(of_out, weights, _parts(of_x, ctx.bounds), strict=True):
                _write(mine, partial(torch.mm, part, weight.t()))
        if not any(ctx.needs_input_grad[2:]):  # frozen weights
            return of_x, None, *(None,) * (2 * len(pieces))
        pairs = zip(pieces, of_out, strict=True)
        of_weights = [torch.mm(piece.t(), part).to(ctx.dtype) for piece, part in pairs]
        return of_x, None, *of_weights, *(_sum(part).to(ctx.dtype) for part in of_out)


class _StackedLinear(torch.autograd.Function):
    """One product over all runs; weights are (R, K, F), biases (R, F)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor, biases: Tensor, bounds: Bounds) -> Tensor:
        used = weights.to(x.dtype)
        ctx.save_for_backward(x, used)
        ctx.bounds, ctx.dtype = bounds, weights.dtype
        return stacked_linear(x, used, bounds).add_(_spread(biases.to(x.dtype), bounds))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, weights = ctx.saved_tensors
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = stacked_linear(gradient, weights.transpose(1, 2), ctx.bounds)
        if not any(ctx.needs_input_grad[1:3]):  # frozen weights
            return of_x, None, None, None
        of_weights = stacked_outer(x, gradient, ctx.bounds).to(ctx.dtype)
        of_biases = torch.stack([_sum(part) for part in _parts(gradient, ctx.bounds)])
        return of_x, of_weights, of_biases.to(ctx.dtype), None


def _sum(part: Tensor) -> Tensor:
    # Kept in float32 inside; asking for a float32 result takes seven times as long.
    return part.sum(0)


def _write(out: Tensor, product: Callable[..., Tensor]) -> None:
    """Write a product to a run's places, with the same bits wherever these are in memory."""
    if out.numel() < _SMALL:
        out.copy_(product())
    else:
        product(out=out)


def _parts(x: Tensor, bounds: Bounds) -> tuple[Tensor, ...]:
    return torch.split(x, [end - start for start, end in bounds])


def one_product(x: Tensor, weights: Tensor, bounds: Bounds) -> Tensor:
    """Return x W of each run by one operation, (P, F); weights are (R, K, F).

    Rows of both begin at multiples of 16 bytes, else they are copied; those of the result do.
    """
    return torch._grouped_mm(_in_rows(x), weights, offs=_ends(bounds, x.device))


def one_outer(x: Tensor, y: Tensor, bounds: Bounds) -> Tensor:
    """Return x^T y of each run by one operation, (R, K, F); of x and y the same holds."""
    return torch._grouped_mm(_in_rows(x).t(), _in_rows(y), offs=_ends(bounds, x.device))


def _in_rows(x: Tensor) -> Tensor:
    if x.stride(1) == 1 and x.stride(0) % ALIGNMENT == 0:
        return x
    return aligned_like(x, x.dtype).copy_(x)


def stacked_linear(x: Tensor, weights: Tensor, bounds: Bounds) -> Tensor:
    """Return x W of each run as one grouped product, (P, F); weights are (R, K, F)."""
    if x.dtype is torch.float64:  # which a grouped product does not take
        parts = zip(_parts(x, bounds), weights, strict=True)
        return torch.cat([part @ weight for part, weight in parts])
    outer = weights.shape[2]
    x, weights = _aligned(x), _aligned(_aligned(weights).transpose(1, 2)).transpose(1, 2)
    out = torch._grouped_mm(x, weights, offs=_ends(bounds, x.device))
    return out if out.shape[1] == outer else out[:, :outer].contiguous()


def stacked_outer(x: Tensor, y: Tensor, bounds: Bounds) -> Tensor:
    """Return x^T y of each run as one grouped product, (R, K, F)."""
    if x.dtype is torch.float64:
        parts = zip(_parts(x, bounds), _parts(y, bounds), strict=True)
        return torch.stack([of_x.t() @ of_y for of_x, of_y in parts])
    out = torch._grouped_mm(_aligned(x).t(), _aligned(y), offs=_ends(bounds, x.device))
    return out[:, : x.shape[1], : y.shape[1]]


def _aligned(x: Tensor) -> Tensor:
    """Return x with zeros after its last dimension, where it must be longer; they change no sum."""
    missing = -x.shape[-1] % ALIGNMENT
    return F.pad(x, (0, missing)) if missing else x.contiguous()


def _spread(rows: Tensor, bounds: Bounds) -> Tensor:
    """Return the row of each run at each of its places, (P, F)."""
    return rows.index_select(0, _run_of_places(bounds, rows.device))


@lru_cache(maxsize=64)
def _run_of_places(bounds: Bounds, device: torch.device) -> Tensor:
    sizes = torch.tensor([end - start for start, end in bounds]).to(device, non_blocking=True)
    numbers = torch.arange(len(bounds), device=device)
    return numbers.repeat_interleave(sizes, output_size=bounds[-1][1])


@lru_cache(maxsize=64)
def _ends(bounds: Bounds, device: torch.device) -> Tensor:
    ends = torch.tensor([end for _, end in bounds], dtype=torch.int32)
    return ends.to(device, non_blocking=True)
