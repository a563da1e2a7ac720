"""Attention of texts that stand in one tensor of positions, over the keys that are no padding.

The texts come in segments of one width. PyTorch's fused kernel does those without dropout. It
leaves its fused form where there is dropout, and has a slow backward pass in bfloat16 on a CPU
(figures in `tests/benchmarks/README.md`); there `attention_by_heads.py` computes it. On a GPU one
kernel does all segments at once (`kernels/attention.py`), but for those in which some keys are
hidden or gated.
Shapes: P positions, N texts, T positions of a text, H heads, D width, d = D / H.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.kernels.usable import shared_memory, usable
from mtl_core.model.attention_by_heads import attend_by_heads
from mtl_core.model.segment import Segment, Segmented, key_bias, with_first

if TYPE_CHECKING:
    from mtl_core.kernels.attention import Layout  # which imports triton


def attend(qkv: Tensor, segments: Sequence[Segment], n_heads: int) -> Tensor:
    """Return what each position gathers from all of its text, (P, D).

    Args:
        qkv: Queries, keys and values, (P, 3 D).
    """
    if in_one_call(segments):
        return _in_one_call(qkv, None, segments, n_heads)
    slow = [_fused_is_slow(qkv, segment) for segment in segments]
    if all(slow):
        return attend_by_heads(qkv, tuple(segments), n_heads)
    if len(segments) == 1:  # a split would copy all gradients
        return _fused(qkv, segments[0], n_heads)
    parts = torch.split(qkv, [segment.texts * segment.width for segment in segments])
    outs = []
    for segment, part, is_slow in zip(segments, parts, slow, strict=True):
        alone = (segment._replace(start=0, first_text=0),)
        if segment.valid is not None:
            outs.append(_in_one_call(part, None, alone, n_heads))
        elif is_slow:
            outs.append(attend_by_heads(part, alone, n_heads))
        else:
            outs.append(_fused(part, segment, n_heads))
    return torch.cat(outs) if len(outs) > 1 else outs[0]


def attend_from(
    query: Tensor, key_value: Tensor, segments: Sequence[Segment], n_heads: int
) -> Tensor:
    """Return what one position of each text gathers from all of its text, (N, D), by the kernel.

    Without it, no keys and values are needed (`attention_of_one.py`).

    Args:
        query: (N, D).
        key_value: Keys and values, (P, 2 D).
    """
    return _in_one_call(key_value, query, segments, n_heads)


def attention_of_first(qkv: Tensor, segment: Segment, n_heads: int, n_first: int) -> Tensor:
    """Return the weights with which the first positions of each text attend, (texts, H, n, T).

    They are those of `attend` without dropout, for who looks at them; it never forms them whole.
    """
    rows = qkv[segment.start : segment.start + segment.texts * segment.width]
    heads = rows.view(segment.texts, segment.width, 3, n_heads, -1)
    query, key, _ = heads.permute(2, 0, 3, 1, 4).unbind()  # each (texts, H, T, d)
    scores = query[:, :, :n_first] @ key.transpose(-1, -2) * key.shape[-1] ** -0.5
    bias = key_bias(segment, like=query)
    return torch.softmax(scores if bias is None else scores + bias[:, None, None], dim=-1)


def has_kernel(device: torch.device, dtype: torch.dtype, d_head: int) -> bool:
    """Whether segments may say which keys are `valid` in place of a bias.

    The tiles of wide heads have no room on a GPU: heads of 256 in bfloat16, on most.
    """
    if not usable(device, dtype):
        return False
    from mtl_core.kernels.attention import shared_bytes

    return shared_bytes(d_head, dtype) <= shared_memory(device)


def in_one_call(segments: Sequence[Segment]) -> bool:
    """Whether the kernel does all segments."""
    return all(segment.valid is not None for segment in segments)


def _in_one_call(
    packed: Tensor, apart: Tensor | None, segments: Sequence[Segment], n_heads: int
) -> Tensor:
    from mtl_core.kernels.attention import attend_all

    layout = _layout(segments, apart is not None, packed.device)
    pairs = zip(segments, layout.drops, strict=True)
    keys = [of.noise.keys() if of.noise and drops else (0, 0) for of, drops in pairs]
    return attend_all(packed, apart, layout, n_heads, keys)


def _layout(segments: Sequence[Segment], one_query: bool, device: torch.device) -> "Layout":
    """Return where the kernel finds the texts; of segments that come again it is kept."""
    from mtl_core.kernels.attention import Texts, lay_out

    kept = segments.layouts if isinstance(segments, Segmented) else {}
    if one_query not in kept:
        groups = [
            Texts(
                first_key=segment.start,
                first_query=segment.first_text if one_query else segment.start,
                width=segment.width,
                valid=np.asarray(segment.valid),
                one_query=one_query,
                share=segment.share if segment.noise else 0.0,
            )
            for segment in segments
        ]
        kept[one_query] = lay_out(groups, device)
    return kept[one_query]


def _fused_is_slow(x: Tensor, segment: Segment) -> bool:
    slow_backward = x.dtype is torch.bfloat16 and x.device.type == "cpu" and x.requires_grad
    return slow_backward or segment.noise is not None


def _fused(part: Tensor, segment: Segment, n_heads: int) -> Tensor:
    """Attention of the positions of one segment, by PyTorch's kernel."""
    heads = part.view(segment.texts, segment.width, 3, n_heads, -1)
    query, key, value = heads.permute(2, 0, 3, 1, 4).unbind()  # each (texts, H, T, d)
    bias = key_bias(segment, like=query)
    if segment.hidden is None:
        out = _kernel(query, key, value, bias)
    else:  # a bias of each query and key would be as large as the weights of a head
        n_first = segment.hidden.shape[1]
        of_first = _kernel(query[:, :, :n_first], key, value, bias)
        bias = with_first(bias, segment.hidden, segment.width)
        out = torch.cat([of_first, _kernel(query[:, :, n_first:], key, value, bias)], dim=2)
    return out.transpose(1, 2).reshape(-1, out.shape[1] * out.shape[3])


def _kernel(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    mask = None if bias is None else bias[:, None, None]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
