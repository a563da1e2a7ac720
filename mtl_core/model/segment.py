"""Texts of one width that stand together, and what they attend to: a segment of a pass.

`segments.py` makes them of the blocks of a pass, `attention.py` computes what they gather.
Shapes: T positions of a text, S tokens before the words.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.model.dropout import Noise

if TYPE_CHECKING:
    from mtl_core.kernels.attention import Layout  # which imports triton


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


class Segmented(tuple[Segment, ...]):
    """The segments of a pass; those of the next layers are often the same ones.

    Attributes:
        layouts: What the kernel of a GPU makes of them, with one query of each text or all.
    """

    def __init__(self, segments: Iterable[Segment] = ()) -> None:
        del segments  # which the tuple holds
        self.layouts: dict[bool, Layout] = {}


def key_bias(segment: Segment, *, like: Tensor) -> Tensor | None:
    """Return what is added to the score of each key where nothing is hidden, (texts, T)."""
    bias = segment.bias
    if segment.valid is not None:
        padded = np.arange(segment.width) >= segment.valid[:, None]
        bias = torch.from_numpy(np.where(padded, -np.inf, 0.0)).to(like)
    return with_first(bias, segment.gates, segment.width)


def with_first(bias: Tensor | None, first: Tensor | None, width: int) -> Tensor | None:
    """Return the bias of all keys with that of the first ones added, (texts, width)."""
    if first is None:
        return bias
    padded = F.pad(first, (0, width - first.shape[1]))
    return padded if bias is None else bias + padded
