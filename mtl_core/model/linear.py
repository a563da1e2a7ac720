"""A product with the weights of each run, and what follows it: bias, activation, dropout, a sum.

The kernels of a GPU do all that follows in one go (`kernels/finish.py`); elsewhere it is as many
operations of PyTorch, after those of `grouped.py`.
Shapes: P positions, R runs, K inner and F outer width.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.kernels.tiles import Bounds, aligned_like
from mtl_core.kernels.usable import usable
from mtl_core.model.banks import Tables
from mtl_core.model.dropout import Span, drop, dropped
from mtl_core.model.grouped import grouped_linear, one_outer, one_product


def linear(
    x: Tensor,
    weights: Tables,
    biases: Tables,
    bounds: Bounds,
    spans: Sequence[Span] = (),
    *,
    activation: Literal["relu", "gelu"] | None = None,
    added_to: Tensor | None = None,
) -> Tensor:
    """Return `added_to` + dropout(activation(x W + b)) with the weights of each run, (P, F).

    Args:
        x: (P, K); its type is that of the products.
        weights: (K, F) of each run; gradients come in their type.
        biases: (F,) of each run.
        spans: What is dropped; each run is in one of them. Nothing: no dropout.
        added_to: (P, F); the result has its type, else that of x.
    """
    if usable(x.device, x.dtype):
        return _by_kernels(x, weights, biases, bounds, spans, activation, added_to)
    out = grouped_linear(x, weights, biases, bounds)
    if activation is not None:
        out = out.relu_() if activation == "relu" else F.gelu(out)
    out = drop(out, spans)
    return out if added_to is None else added_to + out.to(added_to.dtype)


def _by_kernels(
    x: Tensor,
    weights: Tables,
    biases: Tables,
    bounds: Bounds,
    spans: Sequence[Span],
    activation: str | None,
    added_to: Tensor | None,
) -> Tensor:
    from mtl_core.kernels.finish import finish

    if isinstance(weights, Tensor) and isinstance(biases, Tensor):
        product = _Product.apply(x, weights, bounds)  # type: ignore[no-untyped-call]
    else:  # one run
        product, biases = x @ weights[0].to(x.dtype), biases[0][None]
    if activation == "gelu":
        inner = finish(product, biases, dropped((), bounds))
        return drop(F.gelu(inner), spans)
    runs, relu = dropped(spans, bounds), activation == "relu"
    return finish(product, biases, runs, relu=relu, added_to=added_to)


class _Product(torch.autograd.Function):
    """One product over all runs; weights are (R, K, F)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor, bounds: Bounds) -> Tensor:
        used = aligned_like(weights, x.dtype).copy_(weights)
        ctx.save_for_backward(x, used)
        ctx.bounds, ctx.dtype = bounds, weights.dtype
        return one_product(x, used, bounds)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, weights = ctx.saved_tensors
        of_x = of_weights = None
        if ctx.needs_input_grad[0]:
            of_x = one_product(gradient, weights.transpose(1, 2), ctx.bounds)
        if ctx.needs_input_grad[1]:  # else they are frozen
            of_weights = one_outer(x, gradient, ctx.bounds).to(ctx.dtype)
        return of_x, of_weights, None
