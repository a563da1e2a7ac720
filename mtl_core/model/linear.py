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
from mtl_core.model.dropout import Span, drop, drops, table_of
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
    tables = (
        [weights, biases] if isinstance(weights, Tensor) else [weights[0][None], biases[0][None]]
    )
    if activation == "gelu":
        inner = _Linear.apply(x, *tables, None, bounds, None, False)  # type: ignore[no-untyped-call]
        return drop(F.gelu(inner), spans)
    table = table_of(spans, bounds, x.device) if drops(spans) else None
    relu = activation == "relu"
    return _Linear.apply(x, *tables, added_to, bounds, table, relu)  # type: ignore[no-untyped-call]


class _Linear(torch.autograd.Function):
    """The product and what follows it; weights are (R, K, F), biases (R, F)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weights: Tensor,
        biases: Tensor,
        added_to: Tensor | None,
        bounds: Bounds,
        dropped: Tensor | None,
        relu: bool,
    ) -> Tensor:
        from mtl_core.kernels.finish import finish, plan_finish

        used = aligned_like(weights, x.dtype).copy_(weights)
        biases = biases.contiguous()
        ctx.todo = plan_finish(bounds, dropped, x.device, relu)
        added_to = None if added_to is None else added_to.contiguous()
        out = finish(_product(x, used, bounds), biases, ctx.todo, added_to)
        ctx.save_for_backward(x, used, biases, out if relu else None)
        ctx.bounds, ctx.dtype, ctx.adds = bounds, weights.dtype, added_to is not None
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        from mtl_core.kernels.finish import finish_backward

        x, weights, biases, out = ctx.saved_tensors
        (gradient,) = gradients
        given, of_biases = finish_backward(gradient, out, biases, ctx.todo, x.dtype)
        of_x = of_weights = None
        if ctx.needs_input_grad[0]:
            of_x = _product(given, weights.transpose(1, 2), ctx.bounds)
        if ctx.needs_input_grad[1]:  # else they are frozen
            of_weights = _outer(x, given, ctx.bounds).to(ctx.dtype)
        return of_x, of_weights, of_biases, gradient if ctx.adds else None, None, None, None


def _product(x: Tensor, weights: Tensor, bounds: Bounds) -> Tensor:
    return x @ weights[0] if len(bounds) == 1 else one_product(x, weights, bounds)


def _outer(x: Tensor, y: Tensor, bounds: Bounds) -> Tensor:
    return (x.t() @ y)[None] if len(bounds) == 1 else one_outer(x, y, bounds)
