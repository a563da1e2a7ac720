"""Products and norms over runs of positions, each run with a bank of its own.

All lanes of a pass stand in one tensor of positions; here they meet their weights. On a CPU every
run is one product, written where it belongs, so that no weight is copied; on a GPU, where many
small products would be launched one by one, they are one grouped product over the stacked banks.
Shapes: P positions, R runs, K inner and F outer width.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_ALIGNMENT = 8  # numbers; a grouped product on a GPU wants rows that are multiples of 16 bytes

Bounds = tuple[tuple[int, int], ...]  # of each run: its first place, and the one after its last


def grouped_linear(
    x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], bounds: Bounds
) -> Tensor:
    """Return x W + b with the weights of each run, (P, F), in the type of x.

    Args:
        x: (P, K); its type is that of the products, sums are kept in float32.
        weights: One for each run, (K, F); gradients come in their type.
        biases: One for each run, (F,).
    """
    return _GroupedLinear.apply(x, bounds, *weights, *biases)  # type: ignore[no-untyped-call]


def grouped_norm(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    bounds: Bounds,
    dtype: torch.dtype,
) -> Tensor:
    """Return the layer norm of x with the weights of each run, (P, D), as `dtype`.

    Args:
        x: (P, D), at least float32, as are the sums.
        weights, biases: One for each run, (D,).
    """
    return _GroupedNorm.apply(x, bounds, dtype, *weights, *biases)  # type: ignore[no-untyped-call]


class _GroupedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bounds: Bounds, *tables: Tensor) -> Tensor:
        n = len(bounds)
        weights = [weight.to(x.dtype) for weight in tables[:n]]
        biases = [bias.to(x.dtype) for bias in tables[n:]]
        ctx.save_for_backward(x, *weights)
        ctx.bounds, ctx.dtype = bounds, tables[0].dtype
        if n > 1 and x.is_cuda:
            return stacked_linear(x, weights, bounds) + _spread(biases, bounds)
        if n == 1:
            return torch.addmm(biases[0], x, weights[0])
        out = x.new_empty(len(x), weights[0].shape[1])
        for (start, end), weight, bias in zip(bounds, weights, biases, strict=True):
            torch.addmm(bias, x[start:end], weight, out=out[start:end])
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, *weights = ctx.saved_tensors
        bounds, n = ctx.bounds, len(weights)
        of_x: Tensor | None = None
        if n > 1 and x.is_cuda:
            of_weights = list(stacked_outer(x, gradient, bounds).to(ctx.dtype))
            if ctx.needs_input_grad[0]:
                of_x = stacked_linear(gradient, [weight.t() for weight in weights], bounds)
        else:
            parts = [(x[start:end], gradient[start:end]) for start, end in bounds]
            of_weights = [torch.mm(mine.t(), part).to(ctx.dtype) for mine, part in parts]
            if ctx.needs_input_grad[0]:
                of_x = torch.empty_like(x)
                for (start, end), weight in zip(bounds, weights, strict=True):
                    torch.mm(gradient[start:end], weight.t(), out=of_x[start:end])
        # Sums are kept in float32 inside; asking for a float32 result takes seven times as long.
        of_biases = [gradient[start:end].sum(0).to(ctx.dtype) for start, end in bounds]
        return of_x, None, *of_weights, *of_biases


class _GroupedNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bounds: Bounds, dtype: torch.dtype, *tables: Tensor) -> Tensor:
        n, width = len(bounds), [x.shape[-1]]
        weights, biases = tables[:n], tables[n:]
        out = torch.empty_like(x, dtype=dtype)
        means, scales = [], []
        for (start, end), weight, bias in zip(bounds, weights, biases, strict=True):
            normed, mean, scale = torch.native_layer_norm(x[start:end], width, weight, bias, 1e-5)
            out[start:end] = normed
            means.append(mean)
            scales.append(scale)
        ctx.save_for_backward(x, *tables, *means, *scales)
        ctx.bounds = bounds
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        n = len(ctx.bounds)
        x, *saved = ctx.saved_tensors
        of_x = torch.empty_like(x)
        of_weights: list[Tensor] = []
        of_biases: list[Tensor] = []
        for run, (start, end) in enumerate(ctx.bounds):
            weight, bias, mean, scale = saved[run::n]
            part = gradient[start:end].to(x.dtype)
            of_x[start:end], of_weight, of_bias = torch.ops.aten.native_layer_norm_backward(
                part, x[start:end], [x.shape[-1]], mean, scale, weight, bias, [True, True, True]
            )
            of_weights.append(of_weight)
            of_biases.append(of_bias)
        return of_x, None, None, *of_weights, *of_biases


def stacked_linear(x: Tensor, weights: Sequence[Tensor], bounds: Bounds) -> Tensor:
    """Return x W of each run as one grouped product, (P, F)."""
    stacked = torch.stack(list(weights))  # (R, K, F)
    inner, outer = -x.shape[1] % _ALIGNMENT, -stacked.shape[2] % _ALIGNMENT
    if inner or outer:  # zeros change no sum
        x, stacked = F.pad(x, (0, inner)), F.pad(stacked, (0, outer, 0, inner))
    out = torch._grouped_mm(x.contiguous(), stacked, offs=_ends(bounds, x.device))
    return out[:, : out.shape[1] - outer] if outer else out


def stacked_outer(x: Tensor, y: Tensor, bounds: Bounds) -> Tensor:
    """Return x^T y of each run as one grouped product, (R, K, F)."""
    inner, outer = -x.shape[1] % _ALIGNMENT, -y.shape[1] % _ALIGNMENT
    ends = _ends(bounds, x.device)
    padded = F.pad(x, (0, inner)).contiguous(), F.pad(y, (0, outer)).contiguous()
    out = torch._grouped_mm(padded[0].t(), padded[1], offs=ends)
    return out[:, : x.shape[1], : y.shape[1]]


def _spread(rows: Sequence[Tensor], bounds: Bounds) -> Tensor:
    """Return the row of each run at each of its places, (P, F)."""
    sizes = torch.tensor([end - start for start, end in bounds])
    return torch.stack(list(rows)).repeat_interleave(sizes.to(rows[0].device), dim=0)


def _ends(bounds: Bounds, device: torch.device) -> Tensor:
    return torch.tensor([end for _, end in bounds], dtype=torch.int32).to(device)
