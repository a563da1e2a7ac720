"""What stands at the positions of a pass before its first layer, and the tokens that enter later.

Words and positions are looked up for all texts of a part; tokens are put before the words of each
text. Both are functions of their own, so that no text is copied more often than it must be.
Shapes: P positions, N texts, T positions of a text, S tokens before the words, D width, E width of
word vectors, U words of a table.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mtl_core.kernels.tiles import send
from mtl_core.kernels.usable import as_on_gpu
from mtl_core.model.embedding_as_one import EmbeddedPart, embed_as_one, enter_as_one, flat_places
from mtl_core.model.layout import Block, n_positions


def embed(parts: Sequence[EmbeddedPart]) -> Tensor:
    """Return the word's and the position's vector, summed, of each position, (P, E)."""
    if as_on_gpu(parts[0].words.device) and len(parts) > 1:
        return embed_as_one(parts)
    tables = [table for part in parts for table in (part.words, part.positions)]
    return _Embed.apply(tuple(parts), *tables)  # type: ignore[no-untyped-call]


def enter_tokens(
    x: Tensor,
    before: Sequence[Block],
    after: Sequence[Block],
    tokens: Sequence[Tensor],
    mask: Tensor | None,
) -> Tensor:
    """Return the positions with tokens put before the words of the blocks that grow, (P', D).

    Args:
        x: (P, D), laid out as `before` says.
        tokens: Those of each growing block, (S, D).
        mask: Dropout of the tokens of all texts of these blocks, (texts x S, D).
    """
    if as_on_gpu(x.device) and len(after) > 1:
        return enter_as_one(x, before, after, tokens, mask)
    return _Enter.apply(x, tuple(before), tuple(after), mask, *tokens)  # type: ignore[no-untyped-call]


class _Embed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, parts: tuple[EmbeddedPart, ...], *tables: Tensor) -> Tensor:
        last = max((part.blocks[-1] for part in parts), key=lambda block: block.start)
        out = tables[0].new_empty(last.end, tables[0].shape[1])
        places = []
        for part, words, positions in zip(parts, tables[::2], tables[1::2], strict=True):
            flat = send(flat_places(part), words.device)
            places.append(flat)
            start, end = part.blocks[0].start, part.blocks[-1].end
            torch.index_select(words, 0, flat, out=out[start:end])
            for block, bank in zip(part.blocks, part.of_block, strict=True):
                _texts(out, block).add_(positions[bank, : block.width])
        ctx.save_for_backward(*places)
        ctx.parts, ctx.shapes = parts, [table.shape for table in tables]
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        found: list[Tensor | None] = []
        for part, places in zip(ctx.parts, ctx.saved_tensors, strict=True):
            of_words = None
            if ctx.needs_input_grad[1 + len(found)]:
                mine = gradient[part.blocks[0].start : part.blocks[-1].end]
                shape = ctx.shapes[len(found)]
                of_words = gradient.new_zeros(shape).index_add_(0, places, mine)
            of_positions = gradient.new_zeros(ctx.shapes[len(found) + 1])
            for block, bank in zip(part.blocks, part.of_block, strict=True):
                of_positions[bank, : block.width] += _texts(gradient, block).sum(0)
            found += [of_words, of_positions]
        return None, *found


class _Enter(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        before: tuple[Block, ...],
        after: tuple[Block, ...],
        mask: Tensor | None,
        *tokens: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(mask)
        ctx.before, ctx.after, ctx.shape = before, after, x.shape
        out = x.new_empty(n_positions(after), x.shape[1])
        entering, masked = iter(tokens), 0
        for old, new in zip(before, after, strict=True):
            texts, n_new = _texts(out, new), new.n_tokens - old.n_tokens
            texts[:, n_new:] = _texts(x, old)
            if n_new:
                texts[:, :n_new] = next(entering)
                if mask is not None:
                    texts[:, :n_new] *= _of_tokens(mask, masked, new.texts, n_new)
                masked += new.texts * n_new
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        (mask,) = ctx.saved_tensors
        of_x = gradient.new_empty(ctx.shape)
        of_tokens: list[Tensor] = []
        masked = 0
        for old, new in zip(ctx.before, ctx.after, strict=True):
            texts, n_new = _texts(gradient, new), new.n_tokens - old.n_tokens
            _texts(of_x, old).copy_(texts[:, n_new:])
            if n_new:
                part = texts[:, :n_new]
                if mask is not None:
                    part = part * _of_tokens(mask, masked, new.texts, n_new)
                of_tokens.append(part.sum(0))
                masked += new.texts * n_new
        return of_x, None, None, None, *of_tokens


def _texts(x: Tensor, block: Block) -> Tensor:
    """Return a block's positions as (texts, T, D)."""
    return x[block.start : block.end].view(block.texts, block.width, -1)


def _of_tokens(mask: Tensor, start: int, texts: int, n_tokens: int) -> Tensor:
    return mask[start : start + texts * n_tokens].view(texts, n_tokens, -1)
