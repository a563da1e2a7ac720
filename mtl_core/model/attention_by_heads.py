"""Attention a few heads at a time, for CPUs where PyTorch's fused kernel is slow.

So the weights stay in the cache from one operation to the next; they are kept for the backward
pass, as they are and as they were used.
Shapes: P positions, N texts, T positions of a text, H heads, D width, d = D / H.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.model.dropout import kept_scale
from mtl_core.model.segment import Segment, with_first

# Of attention weights in work at a time: four tensors of them fit in a cache of 8 MB. In bfloat16
# on an EPYC with AVX-512 half as many make attention 9 % slower, and more are no faster.
_CHUNK_BYTES = 1 << 21
# PyTorch's softmax goes over the last keys one by one where they fill no whole vector (torch 2.13,
# AVX-512, 2,048 rows: float32: 14 keys 500 us, 16 keys 47; bfloat16: 143 keys 462, 160 keys 263).
_VECTOR_BYTES, _LEAST_KEYS = 64, 16
_MOST_PADDING = 1.15
# Tensors of a segment kept for the backward pass: queries, keys with values, weights, used weights.
_KEPT = 4
_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes of a number


def attend_by_heads(qkv: Tensor, segments: tuple[Segment, ...], n_heads: int) -> Tensor:
    """Return what each position gathers, (P, D), of queries, keys and values, (P, 3 D)."""
    gates = [segment.gates for segment in segments]
    segments = tuple(segment._replace(gates=None) for segment in segments)
    return _Attention.apply(qkv, segments, n_heads, *gates)  # type: ignore[no-untyped-call]


class _Attention(torch.autograd.Function):
    """The gates of the segments are arguments of their own, since they get gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        qkv: Tensor,
        segments: tuple[Segment, ...],
        n_heads: int,
        *gates: Tensor | None,
    ) -> Tensor:
        out = qkv.new_empty(len(qkv), qkv.shape[1] // 3)
        heads = _Heads(n_heads, out.shape[1] // n_heads)
        kept: list[Tensor] = []
        for segment, of_gates in zip(segments, gates, strict=True):
            width = _padded(segment.width, qkv)
            taken = [
                heads.take(qkv, segment, slice(0, 1)),
                heads.take(qkv, segment, slice(1, 3), width=width),
            ]
            query, key, value = _parts(taken)
            bias = _bias(segment, of_gates, n_heads, width, like=qkv)
            hidden = _of_heads(segment.hidden, n_heads)
            shape = (len(key), segment.width, width)
            weights = qkv.new_empty(shape)
            used = weights if segment.noise is None else torch.empty_like(weights)
            mixed = torch.empty_like(query)
            for some, scores in _chunks(shape, like=qkv):
                # The product is scaled and added to the bias; without one, `beta` leaves it out.
                top = scores if bias is None else bias[some, None]
                turned, beta = key[some].transpose(1, 2), int(bias is not None)
                torch.baddbmm(top, query[some], turned, beta=beta, alpha=heads.scale, out=scores)
                if hidden is not None:
                    n_first = hidden.shape[1]
                    scores[:, n_first:, :n_first].add_(hidden[some, None])
                torch.softmax(scores, -1, out=weights[some])
                if segment.noise is not None:
                    _drop(weights[some], segment, out=used[some])
                torch.bmm(used[some], value[some], out=mixed[some])
            if segment.noise is not None:
                mixed.mul_(kept_scale(segment.share))
            heads.put(mixed, segment, out)
            if any(ctx.needs_input_grad):
                kept += [*taken, weights, used]
        ctx.save_for_backward(out, *kept)
        ctx.segments, ctx.heads, ctx.shape = segments, heads, qkv.shape
        ctx.n_gates = [0 if of_gates is None else of_gates.shape[1] for of_gates in gates]
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        out, *kept = ctx.saved_tensors
        heads: _Heads = ctx.heads
        of_qkv = out.new_empty(ctx.shape)
        of_gates: list[Tensor | None] = []
        for number, segment in enumerate(ctx.segments):
            *taken, weights, used = kept[number * _KEPT : (number + 1) * _KEPT]
            query, key, value = _parts(taken)
            gradient, mixed = _parts([heads.take(gradients[0], segment), heads.take(out, segment)])
            # As in fused kernels: the sum of w dw over the keys is one over the head's numbers.
            inner = (gradient * mixed).sum(-1, keepdim=True)
            if segment.noise is not None:
                gradient.mul_(kept_scale(segment.share))
            of_query = torch.empty_like(query)
            # Made the other way round, (texts x H, d, T): a product whose first factor has to be
            # turned takes 1.4 times as long (torch 2.13, bfloat16, 400 keys of 50).
            of_key, of_value = (torch.empty_like(part) for part in (key, value))
            n_gates = ctx.n_gates[number]
            of_first = key.new_empty(len(key), n_gates)  # of the scores of the first keys, summed
            for some, of_scores in _chunks(weights.shape, like=out):
                torch.bmm(gradient[some], value[some].transpose(1, 2), out=of_scores)
                of_scores.mul_(used[some]).addcmul_(weights[some], inner[some], value=-1)
                if n_gates:
                    torch.sum(of_scores[:, :, :n_gates], 1, out=of_first[some])
                heads.scaled(of_scores, key[some], out=of_query[some])
                heads.scaled(of_scores.mT, query[some], out=of_key[some])
                torch.bmm(used[some].mT, gradient[some], out=of_value[some])
            by_text = of_first.view(segment.texts, heads.n_heads, n_gates)
            of_gates.append(by_text.sum(1) if n_gates else None)
            for part, gathered in enumerate((of_query, of_key, of_value)):
                heads.put(gathered, segment, of_qkv, part)
        return of_qkv, None, None, *of_gates


def _drop(weights: Tensor, segment: Segment, *, out: Tensor) -> None:
    """Write the weights that are kept to `out`, and zeros; not scaled.

    A mask of whole numbers, 0 or 1, times the bits of a number is that number or zero, and takes
    less than half the time of a mask and a product in bfloat16.
    """
    assert segment.noise is not None
    bits = _BITS[out.element_size()]
    segment.noise.write_kept(segment.share, out=out.view(bits))
    out.view(bits).mul_(weights.view(bits))


def _chunks(shape: Sequence[int], *, like: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield a few heads at a time, and a tensor of their weights to work in, always the same one.

    Args:
        shape: Of the weights of all heads, (texts x H, queries, T).
    """
    n_heads, n_queries, width = shape
    step = min(n_heads, max(1, _CHUNK_BYTES // (n_queries * width * like.element_size())))
    scratch = like.new_empty(step, n_queries, width)
    for start in range(0, n_heads, step):
        count = min(step, n_heads - start)
        yield slice(start, start + count), scratch[:count]


class _Heads(NamedTuple):
    """Takes segments out of tensors of positions, head by head, and puts them back."""

    n_heads: int
    d_head: int

    @property
    def scale(self) -> float:
        """What scores are multiplied by."""
        return self.d_head**-0.5

    def scaled(self, left: Tensor, right: Tensor, *, out: Tensor) -> None:
        """Write the scaled product to `out`."""
        torch.baddbmm(out, left, right, beta=0, alpha=self.scale, out=out)

    def take(
        self,
        x: Tensor,
        segment: Segment,
        parts: slice = slice(None),
        *,
        width: int | None = None,
    ) -> Tensor:
        """Return parts of x for these texts, (parts, texts, H, T, d), as a copy.

        Args:
            width: T, with zeros where x has nothing; None: as it is in x.
        """
        own = self._own(x, segment)[:, :, parts].permute(2, 0, 3, 1, 4)
        there = own.shape[3]
        if width is None or width == there:
            return own.clone(memory_format=torch.contiguous_format)
        taken = x.new_empty(*own.shape[:3], width, self.d_head)
        taken[..., :there, :] = own
        taken[..., there:, :] = 0
        return taken

    def put(self, heads: Tensor, segment: Segment, out: Tensor, part: int = 0) -> None:
        """Write (texts x H, T, d) to a part of the texts' places in `out`, but for its padding."""
        own = self._own(out, segment)[:, :, part]  # (texts, T, H, d)
        by_text = heads.view(-1, self.n_heads, *heads.shape[1:])[:, :, : own.shape[1]]
        own.copy_(by_text.transpose(1, 2))

    def _own(self, x: Tensor, segment: Segment) -> Tensor:
        """Return the texts' places in x, (texts, T, parts, H, d), as a view."""
        rows = x[segment.start : segment.start + segment.texts * segment.width]
        return rows.view(segment.texts, segment.width, -1, self.n_heads, self.d_head)


def _padded(width: int, like: Tensor) -> int:
    """Return the number of keys, with padding where that fills vectors and adds little work."""
    step = _VECTOR_BYTES // like.element_size()
    padded = -(-width // step) * step
    return padded if padded <= max(_LEAST_KEYS, _MOST_PADDING * width) else width


def _bias(
    segment: Segment, gates: Tensor | None, n_heads: int, width: int, *, like: Tensor
) -> Tensor | None:
    """Return what is added to the scores of each key of each head, (texts x H, width)."""
    missing = width - segment.width
    bias = with_first(segment.bias, gates, segment.width)
    if bias is not None:
        return _of_heads(F.pad(bias, (0, missing), value=-torch.inf) if missing else bias, n_heads)
    if not missing:
        return None
    bias = like.new_zeros(width)
    bias[segment.width :] = -torch.inf
    return bias.expand(segment.texts * n_heads, width)


def _of_heads(bias: Tensor | None, n_heads: int) -> Tensor | None:
    return None if bias is None else bias.repeat_interleave(n_heads, 0)


def _parts(taken: Sequence[Tensor]) -> list[Tensor]:
    """Return all parts of what was taken, each (texts x H, T, d)."""
    return [part for of_one in taken for part in of_one.flatten(1, 2).unbind()]
