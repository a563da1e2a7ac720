"""The mean over the words of each text, as one function over all blocks of a pass.

Shapes: P positions, N texts, T positions of a text, S tokens before the words, D width.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_core.model.layout import Block


def mean_of_words(x: Tensor, blocks: Sequence[Block], lengths: Sequence[np.ndarray]) -> Tensor:
    """Return the mean of each text's first words, (N, D).

    Args:
        x: (P, D).
        lengths: Number of words that count, of each text of each block.
    """
    shares = []
    for block, of_block in zip(blocks, lengths, strict=True):
        places = np.arange(-block.n_tokens, block.n_words)
        counts = (places >= 0) & (places < of_block[:, None])
        shares.append(torch.from_numpy(counts / of_block[:, None]).to(x.device, x.dtype))
    return _Mean.apply(x, tuple(blocks), *shares)  # type: ignore[no-untyped-call]


class _Mean(torch.autograd.Function):
    """The mean with given shares of the positions, (texts, T) for each block."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, blocks: tuple[Block, ...], *shares: Tensor) -> Tensor:
        ctx.save_for_backward(*shares)
        ctx.blocks, ctx.shape = blocks, x.shape
        means = [
            torch.bmm(share[:, None], x[block.start : block.end].view(*share.shape, -1))
            for block, share in zip(blocks, shares, strict=True)
        ]
        return torch.cat(means).squeeze(1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        of_x = gradients[0].new_empty(ctx.shape)
        parts = torch.split(gradients[0], [block.texts for block in ctx.blocks])
        for block, share, part in zip(ctx.blocks, ctx.saved_tensors, parts, strict=True):
            mine = of_x[block.start : block.end].view(*share.shape, -1)
            torch.mul(share[:, :, None], part[:, None], out=mine)
        return of_x, None, *(None for _ in ctx.blocks)
