"""What one position of each text gathers, without keys and values of the others.

A score is linear in what its key is made of, q (x W) = (q W^T) x, and a mean of values is the value
of the mean. So queries are turned by the weights of the keys, once for each head, positions are
weighed as they are, and the weights of the values meet one mean for each head: a layer that is read
at one position has no product over all of them. (DeepSeek-V2, 2024, keeps its cache small so.)
Shapes: P positions, N texts, T positions of a text, H heads, D width, d = D / H, R runs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mtl_core.kernels.tiles import Bounds
from mtl_core.model.banks import Tables
from mtl_core.model.segment import Segment, key_bias


class KeyValueBanks(NamedTuple):
    """The weights of keys and values of each run.

    The bias of the keys is none of them: it adds the same to all scores of a query.
    """

    key_weight: Tables  # (R, D, D)
    value_weight: Tables
    value_bias: Tables  # (R, D)


def attend_from_one(
    query: Tensor,
    x: Tensor,
    banks: KeyValueBanks,
    bounds: Bounds,
    segments: Sequence[Segment],
    n_heads: int,
) -> Tensor:
    """Return what the query of each text gathers from all of its text, (N, D).

    Args:
        query: (N, D).
        x: What keys and values are made of, (P, D), in the type of the query.
        bounds: The texts of each run.
    """
    turned = torch.cat(
        [
            _head_by_head(part, weight, transposed=True)
            for part, weight in zip(_heads(query, bounds, n_heads), banks.key_weight, strict=True)
        ]
    )
    means, sums = [], []
    own = torch.split(x, [segment.texts * segment.width for segment in segments])
    queries = torch.split(turned, [segment.texts for segment in segments])
    for segment, of_segment, of_queries in zip(segments, own, queries, strict=True):
        texts = of_segment.view(segment.texts, segment.width, -1)
        weights = _weights(of_queries, texts, segment, scale=(x.shape[1] // n_heads) ** -0.5)
        means.append(torch.bmm(weights, texts))  # (texts, H, D)
        sums.append(weights.sum(-1, keepdim=True))  # not 1 with dropout
    parts = (torch.split(torch.cat(of_all), _sizes(bounds)) for of_all in (means, sums))
    of_runs = zip(*parts, banks.value_weight, banks.value_bias, strict=True)
    return torch.cat(
        [
            _head_by_head(mean, weight) + total * bias.to(x.dtype).view(n_heads, -1)
            for mean, total, weight, bias in of_runs
        ]
    ).flatten(1)


def _weights(queries: Tensor, texts: Tensor, segment: Segment, *, scale: float) -> Tensor:
    """Return the attention weights that are kept, (texts, H, T)."""
    bias = key_bias(segment, like=texts)
    keys, beta = texts.transpose(1, 2), int(bias is not None)
    top = queries.new_zeros(1) if bias is None else bias[:, None]
    weights = torch.baddbmm(top, queries, keys, beta=beta, alpha=scale).softmax(-1)
    if segment.noise is None:
        return weights
    return weights * segment.noise.mask(weights.shape, segment.share, weights.dtype)


def _heads(x: Tensor, bounds: Bounds, n_heads: int) -> tuple[Tensor, ...]:
    """Return the rows of each run, head by head, (n, H, d)."""
    return torch.split(x.view(len(x), n_heads, -1), _sizes(bounds))


def _head_by_head(x: Tensor, weight: Tensor, *, transposed: bool = False) -> Tensor:
    """Return x W of each head, (n, H, d), of (n, H, D); transposed x W^T, (n, H, D), of (n, H, d).

    Args:
        weight: (D, D), whose columns are those of the heads side by side.
    """
    by_head = weight.to(x.dtype).view(len(weight), x.shape[1], -1)  # (D, H, d)
    order = (1, 2, 0) if transposed else (1, 0, 2)
    return torch.bmm(x.transpose(0, 1), by_head.permute(order)).transpose(0, 1)


def _sizes(bounds: Bounds) -> list[int]:
    return [end - start for start, end in bounds]
