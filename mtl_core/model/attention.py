"""Attention of texts that stand in one tensor of positions, over the keys that are no padding.

The texts come in segments of one width. PyTorch's fused kernel does those without dropout. It
leaves its fused form where there is dropout, and has a slow backward pass in bfloat16 on a CPU
(figures in `tests/benchmarks/README.md`); there `_Attention` goes over a few heads at a time, so
that the weights stay in the cache from one operation to the next, and keeps the weights for the
backward pass, as they are and as they were used. On a GPU one kernel does all segments at once
(`kernels/attention.py`), but for those in which some keys are hidden or gated.
Shapes: P positions, N texts, T positions of a text, H heads, D width, d = D / H.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.kernels.usable import usable
from mtl_core.model.dropout import Noise, kept_scale

_CHUNK = 1 << 19  # attention weights in work at a time: four tensors of them fit in a cache
# PyTorch's softmax goes over the last keys one by one where they fill no whole vector (torch 2.13,
# AVX-512, 2,048 rows: float32: 14 keys 500 us, 16 keys 47; bfloat16: 143 keys 462, 160 keys 263).
_VECTOR_BYTES, _LEAST_KEYS = 64, 16
_MOST_PADDING = 1.15
# Tensors of a segment kept for the backward pass: queries, keys with values, weights, used weights.
_KEPT = 4


class Segment(NamedTuple):
    """Texts of one width that stand together.

    Args:
        start: Their first position.
        first_text: The number of texts before them.
        bias: What is added to the scores of a key, 0 or, where it is padding, -inf, (texts, T).
        noise: Drops a `share` of the weights.
        hidden: What is added besides to the scores of the first S keys where a later position
            asks, 0 or -inf, (texts, S); a query that stands apart is none.
        gates: What is added to the scores of the first S keys, with a gradient, (texts, S).
        valid: How many of the keys of each text are no padding; these come first, (texts,). Given
            in place of a bias where the kernel of a GPU does the segment.
    """

    start: int
    first_text: int
    texts: int
    width: int
    bias: Tensor | None
    noise: Noise | None = None
    share: float = 0.0
    hidden: Tensor | None = None
    gates: Tensor | None = None
    valid: np.ndarray | None = None


def attend(qkv: Tensor, segments: Sequence[Segment], n_heads: int) -> Tensor:
    """Return what each position gathers from all of its text, (P, D).

    Args:
        qkv: Queries, keys and values, (P, 3 D).
    """
    return _attend(qkv, None, tuple(segments), n_heads)


def attend_from(
    query: Tensor, key_value: Tensor, segments: Sequence[Segment], n_heads: int
) -> Tensor:
    """Return what one position of each text gathers from all of its text, (N, D).

    Args:
        query: (N, D).
        key_value: Keys and values, (P, 2 D).
    """
    return _attend(key_value, query, tuple(segments), n_heads)


def attention_of_first(qkv: Tensor, segment: Segment, n_heads: int, n_first: int) -> Tensor:
    """Return the weights with which the first positions of each text attend, (texts, H, n, T).

    They are those of `attend` without dropout, for who looks at them; it never forms them whole.
    """
    rows = qkv[segment.start : segment.start + segment.texts * segment.width]
    heads = rows.view(segment.texts, segment.width, 3, n_heads, -1)
    query, key, _ = heads.permute(2, 0, 3, 1, 4).unbind()  # each (texts, H, T, d)
    scores = query[:, :, :n_first] @ key.transpose(-1, -2) * key.shape[-1] ** -0.5
    bias = _with_first(segment.bias, segment.gates, segment.width)
    return torch.softmax(scores if bias is None else scores + bias[:, None, None], dim=-1)


def _attend(
    packed: Tensor, apart: Tensor | None, segments: tuple[Segment, ...], n_heads: int
) -> Tensor:
    """The same for both; the arguments are those of `_Attention`."""
    if all(segment.valid is not None for segment in segments):
        return _in_one_call(packed, apart, segments, n_heads)
    slow = [_fused_is_slow(packed, segment) for segment in segments]
    if all(slow):
        return _by_chunks(packed, apart, segments, n_heads)
    if len(segments) == 1:  # a split would copy all gradients
        return _fused(packed, apart, segments[0], n_heads)
    parts = torch.split(packed, [segment.texts * segment.width for segment in segments])
    queries: Sequence[Tensor | None] = [None] * len(segments)
    if apart is not None:
        queries = torch.split(apart, [segment.texts for segment in segments])
    outs = []
    for segment, part, query, is_slow in zip(segments, parts, queries, slow, strict=True):
        alone = (segment._replace(start=0, first_text=0),)
        if segment.valid is not None:
            outs.append(_in_one_call(part, query, alone, n_heads))
        elif is_slow:
            outs.append(_by_chunks(part, query, alone, n_heads))
        else:
            outs.append(_fused(part, query, segment, n_heads))
    return torch.cat(outs) if len(outs) > 1 else outs[0]


def has_kernel(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether segments may say which keys are `valid` in place of a bias."""
    return usable(device, dtype)


def _in_one_call(
    packed: Tensor, apart: Tensor | None, segments: Sequence[Segment], n_heads: int
) -> Tensor:
    from mtl_core.kernels.attention import Texts, attend_all, lay_out

    groups = [
        Texts(
            first_key=segment.start,
            first_query=segment.start if apart is None else segment.first_text,
            width=segment.width,
            valid=np.asarray(segment.valid),
            one_query=apart is not None,
            share=segment.share if segment.noise else 0.0,
            keys=segment.noise.keys() if segment.noise else (0, 0),
        )
        for segment in segments
    ]
    return attend_all(packed, apart, lay_out(groups, packed.device), n_heads)


def _by_chunks(
    packed: Tensor, apart: Tensor | None, segments: tuple[Segment, ...], n_heads: int
) -> Tensor:
    gates = [segment.gates for segment in segments]
    segments = tuple(segment._replace(gates=None) for segment in segments)
    return _Attention.apply(packed, apart, segments, n_heads, *gates)  # type: ignore[no-untyped-call]


def _fused_is_slow(x: Tensor, segment: Segment) -> bool:
    slow_backward = x.dtype is torch.bfloat16 and x.device.type == "cpu" and x.requires_grad
    return slow_backward or segment.noise is not None


def _fused(part: Tensor, query: Tensor | None, segment: Segment, n_heads: int) -> Tensor:
    """Attention of the positions of one segment, by PyTorch's kernel."""
    n_parts = 3 if query is None else 2
    heads = part.view(segment.texts, segment.width, n_parts, n_heads, -1)
    *first, key, value = heads.permute(2, 0, 3, 1, 4).unbind()  # each (texts, H, T, d)
    own = first[0] if query is None else query.view(segment.texts, n_heads, 1, -1)
    bias = _with_first(segment.bias, segment.gates, segment.width)
    if segment.hidden is None or query is not None:
        out = _kernel(own, key, value, bias)
    else:  # a bias of each query and key would be as large as the weights of a head
        n_first = segment.hidden.shape[1]
        of_first = _kernel(own[:, :, :n_first], key, value, bias)
        bias = _with_first(bias, segment.hidden, segment.width)
        out = torch.cat([of_first, _kernel(own[:, :, n_first:], key, value, bias)], dim=2)
    return out.transpose(1, 2).reshape(-1, out.shape[1] * out.shape[3])


def _kernel(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    mask = None if bias is None else bias[:, None, None]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def _with_first(bias: Tensor | None, first: Tensor | None, width: int) -> Tensor | None:
    """Return the bias of all keys with that of the first ones added, (texts, width)."""
    if first is None:
        return bias
    padded = F.pad(first, (0, width - first.shape[1]))
    return padded if bias is None else bias + padded


class _Attention(torch.autograd.Function):
    """Of packed queries, keys and values, or of packed keys and values with queries apart.

    The gates of the segments are arguments of their own, since they get gradients.
    """

    @staticmethod
    def forward(
        ctx: Any,
        packed: Tensor,
        apart: Tensor | None,
        segments: tuple[Segment, ...],
        n_heads: int,
        *gates: Tensor | None,
    ) -> Tensor:
        out = packed.new_empty(len(packed), packed.shape[1] // 3)
        out = out if apart is None else torch.empty_like(apart)
        heads = _Heads(n_heads, out.shape[1] // n_heads, apart is not None)
        kept: list[Tensor] = []
        for segment, of_gates in zip(segments, gates, strict=True):
            width = _padded(segment.width, packed)
            queries, keys = packed if apart is None else apart, slice(heads.first_key, None)
            taken = [
                heads.take(queries, segment, slice(0, 1)),
                heads.take(packed, segment, keys, keys=True, width=width),
            ]
            query, key, value = _parts(taken)
            bias = _bias(segment, of_gates, n_heads, width, like=packed)
            hidden = None if heads.one_query else _of_heads(segment.hidden, n_heads)
            shape = (len(key), query.shape[1], width)
            weights = packed.new_empty(shape)
            used = weights if segment.noise is None else torch.empty_like(weights)
            mixed = torch.empty_like(query)
            for some, scores in _chunks(shape, like=packed):
                # The product is scaled and added to the bias; without one, `beta` leaves it out.
                top = scores if bias is None else bias[some, None]
                turned, beta = key[some].transpose(1, 2), int(bias is not None)
                torch.baddbmm(top, query[some], turned, beta=beta, alpha=heads.scale, out=scores)
                if hidden is not None:
                    n_first = hidden.shape[1]
                    scores[:, n_first:, :n_first].add_(hidden[some, None])
                torch.softmax(scores, -1, out=weights[some])
                if segment.noise is not None:
                    segment.noise.write_kept(segment.share, out=used[some])
                    used[some].mul_(weights[some])
                torch.bmm(used[some], value[some], out=mixed[some])
            if segment.noise is not None:
                mixed.mul_(kept_scale(segment.share))
            heads.put(mixed, segment, out)
            if any(ctx.needs_input_grad):
                kept += [*taken, weights, used]
        ctx.save_for_backward(out, *kept)
        ctx.segments, ctx.heads, ctx.shape = segments, heads, packed.shape
        ctx.n_gates = [0 if of_gates is None else of_gates.shape[1] for of_gates in gates]
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        out, *kept = ctx.saved_tensors
        heads: _Heads = ctx.heads
        of_packed = out.new_empty(ctx.shape)
        of_queries = torch.empty_like(out) if heads.one_query else of_packed
        of_gates: list[Tensor | None] = []
        for number, segment in enumerate(ctx.segments):
            *taken, weights, used = kept[number * _KEPT : (number + 1) * _KEPT]
            query, key, value = _parts(taken)
            gradient, mixed = _parts([heads.take(gradients[0], segment), heads.take(out, segment)])
            # As in fused kernels: the sum of w dw over the keys is one over the head's numbers.
            inner = (gradient * mixed).sum(-1, keepdim=True)
            if segment.noise is not None:
                gradient.mul_(kept_scale(segment.share))
            of_query, of_key, of_value = (torch.empty_like(part) for part in (query, key, value))
            n_gates = ctx.n_gates[number]
            of_first = key.new_empty(len(key), n_gates)  # of the scores of the first keys, summed
            for some, of_scores in _chunks(weights.shape, like=out):
                torch.bmm(gradient[some], value[some].transpose(1, 2), out=of_scores)
                of_scores.mul_(used[some]).addcmul_(weights[some], inner[some], value=-1)
                if n_gates:
                    torch.sum(of_scores[:, :, :n_gates], 1, out=of_first[some])
                heads.scaled(of_scores, key[some], out=of_query[some])
                heads.scaled(of_scores.transpose(1, 2), query[some], out=of_key[some])
                torch.bmm(used[some].transpose(1, 2), gradient[some], out=of_value[some])
            by_text = of_first.view(segment.texts, heads.n_heads, n_gates)
            of_gates.append(by_text.sum(1) if n_gates else None)
            heads.put(of_query, segment, of_queries)
            heads.put(of_key, segment, of_packed, heads.first_key, keys=True)
            heads.put(of_value, segment, of_packed, heads.first_key + 1, keys=True)
        return of_packed, of_queries if heads.one_query else None, None, None, *of_gates


def _chunks(shape: Sequence[int], *, like: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield a few heads at a time, and a tensor of their weights to work in, always the same one.

    Args:
        shape: Of the weights of all heads, (texts x H, queries, T).
    """
    n_heads, n_queries, width = shape
    step = min(n_heads, max(1, _CHUNK // (n_queries * width)))
    scratch = like.new_empty(step, n_queries, width)
    for start in range(0, n_heads, step):
        count = min(step, n_heads - start)
        yield slice(start, start + count), scratch[:count]


class _Heads(NamedTuple):
    """Takes segments out of tensors of positions, head by head, and puts them back."""

    n_heads: int
    d_head: int
    one_query: bool

    @property
    def first_key(self) -> int:
        """Place of the keys among the packed parts."""
        return 0 if self.one_query else 1

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
        keys: bool = False,
        width: int | None = None,
    ) -> Tensor:
        """Return parts of x for these texts, (parts, texts, H, T, d), as a copy.

        Args:
            width: T, with zeros where x has nothing; None: as it is in x.
        """
        own = self._own(x, segment, keys)[:, :, parts].permute(2, 0, 3, 1, 4)
        there = own.shape[3]
        if width is None or width == there:
            return own.clone(memory_format=torch.contiguous_format)
        taken = x.new_empty(*own.shape[:3], width, self.d_head)
        taken[..., :there, :] = own
        taken[..., there:, :] = 0
        return taken

    def put(
        self, heads: Tensor, segment: Segment, out: Tensor, part: int = 0, *, keys: bool = False
    ) -> None:
        """Write (texts x H, T, d) to a part of the texts' places in `out`, but for its padding."""
        own = self._own(out, segment, keys)[:, :, part]  # (texts, T, H, d)
        by_text = heads.view(-1, self.n_heads, *heads.shape[1:])[:, :, : own.shape[1]]
        own.copy_(by_text.transpose(1, 2))

    def _own(self, x: Tensor, segment: Segment, keys: bool) -> Tensor:
        """Return the texts' places in x, (texts, T, parts, H, d), as a view.

        Args:
            keys: x has all positions of a text, even where queries stand apart.
        """
        one = self.one_query and not keys
        first, width = (segment.first_text, 1) if one else (segment.start, segment.width)
        rows = x[first : first + segment.texts * width]
        return rows.view(segment.texts, width, -1, self.n_heads, self.d_head)


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
    bias = _with_first(segment.bias, gates, segment.width)
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
