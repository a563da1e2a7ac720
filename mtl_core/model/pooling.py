"""Means over the words of each text, as one function over all blocks of a pass.

Shapes: P positions, N texts, T positions of a text, S tokens before the words, D width.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_core.model.layout import Block


def mean_of_words(x: Tensor, blocks: Sequence[Block], pooled: Sequence[np.ndarray]) -> Tensor:
    """Return the means of each text's words, the m means of a text one after the other, (m N, D).

    Args:
        x: (P, D).
        pooled: The words of each mean of each text of each block: from and to, (texts, 2 m).
    """
    shares = []
    for block, of_block in zip(blocks, pooled, strict=True):
        starts, ends = of_block[:, ::2, None], of_block[:, 1::2, None]  # (texts, m, 1)
        places = np.arange(-block.n_tokens, block.n_words)
        counts = (places >= starts) & (places < ends)  # (texts, m, T)
        of_words = torch.from_numpy(counts / (ends - starts)).to(x.dtype)
        shares.append(of_words.to(x.device, non_blocking=True))
    return _Mean.apply(x, tuple(blocks), *shares)  # type: ignore[no-untyped-call]


class _Mean(torch.autograd.Function):
    """The means with given shares of the positions, (texts, m, T) for each block."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, blocks: tuple[Block, ...], *shares: Tensor) -> Tensor:
        ctx.save_for_backward(*shares)
        ctx.blocks, ctx.shape = blocks, x.shape
        means = [
            torch.bmm(share, x[block.start : block.end].view(block.texts, block.width, -1))
            for block, share in zip(blocks, shares, strict=True)
        ]
        return torch.cat([of_block.flatten(0, 1) for of_block in means])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        of_x = gradients[0].new_empty(ctx.shape)
        shares = ctx.saved_tensors
        parts = torch.split(gradients[0], [share.shape[0] * share.shape[1] for share in shares])
        for block, share, part in zip(ctx.blocks, shares, parts, strict=True):
            mine = of_x[block.start : block.end].view(block.texts, block.width, -1)
            of_means = part.view(block.texts, share.shape[1], -1)  # (texts, m, D)
            if share.shape[1] == 1:
                torch.mul(share.mT, of_means, out=mine)
            else:
                torch.bmm(share.mT, of_means, out=mine)
        return of_x, None, *(None for _ in ctx.blocks)
