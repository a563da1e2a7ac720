"""The same as `embedding.py`, by operations whose number does not grow with that of the parts.

A GPU is bound by launches where each part has its own; a CPU would only move more numbers.
Shapes: P positions, N texts, T positions of a text, S tokens before the words, D width, E width of
word vectors, U words of a table.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mtl_core.kernels.tiles import send
from mtl_core.model.layout import Block, n_positions


class EmbeddedPart(NamedTuple):
    """The texts of one part.

    Args:
        blocks: Its blocks; they stand together.
        places: Row of the word table of each word, (N, T), on the CPU.
        words: Word table, (U, E).
        positions: The positions' vectors of its banks, (banks, longest, E).
        of_block: Bank of each block.
    """

    blocks: Sequence[Block]
    places: Tensor
    words: Tensor
    positions: Tensor
    of_block: Sequence[int]


def flat_places(part: EmbeddedPart) -> np.ndarray:
    """Return the row of the word table at each position of the part."""
    places = part.places.numpy()
    rows = [
        places[block.first_text : block.first_text + block.texts, : block.width].reshape(-1)
        for block in part.blocks
    ]
    return np.concatenate(rows) if len(rows) > 1 else rows[0]


def embed_as_one(parts: Sequence[EmbeddedPart]) -> Tensor:
    """Return the word's and the position's vector, summed, of each position, (P, E)."""
    parts = sorted(parts, key=lambda part: part.blocks[0].start)
    device = parts[0].words.device
    places = [flat_places(part) for part in parts]
    counts = [len(of_part) for of_part in places]
    words = send(np.concatenate(places, dtype=np.int32), device)
    x = _look_up([part.words for part in parts], words, counts)
    rows = _position_rows(parts, sum(counts), device)
    return x.add_(_look_up([part.positions for part in parts], rows, counts))


def _look_up(tables: Sequence[Tensor], rows: Tensor, counts: Sequence[int]) -> Tensor:
    """Return rows of each table, so many, one below the other, (P, E).

    Args:
        tables: (..., E); often one and the same for all.
        rows: (P,).
    """
    flat = {table: table.flatten(0, -2) for table in dict.fromkeys(tables)}
    if len(flat) == 1:
        return flat[tables[0]].index_select(0, rows)
    sizes = [len(table) for table in flat.values()]
    if sum(sizes) > len(rows):  # whole tables, as in evaluation, of which no copy is made
        pairs = zip(tables, torch.split(rows, list(counts)), strict=True)
        return torch.cat([flat[table].index_select(0, mine) for table, mine in pairs])
    starts = dict(zip(flat, _starts(sizes), strict=True))
    before = _spread(np.array([starts[table] for table in tables]), counts, rows.device)
    return torch.cat(list(flat.values())).index_select(0, rows + before)


def _position_rows(parts: Sequence[EmbeddedPart], count: int, device: torch.device) -> Tensor:
    """Return the row of each position in the table of its part, (P,)."""
    blocks = [block for part in parts for block in part.blocks]
    rows = [bank * part.positions.shape[1] for part in parts for bank in part.of_block]
    texts, widths = [block.texts for block in blocks], [block.width for block in blocks]
    moved = np.repeat(rows, texts) - _text_starts(blocks)
    return _counted(count, device) + _spread(moved, np.repeat(widths, texts), device)


def enter_as_one(
    x: Tensor,
    before: Sequence[Block],
    after: Sequence[Block],
    tokens: Sequence[Tensor],
    mask: Tensor | None,
) -> Tensor:
    """Return the positions with tokens put before the words, as `embedding.enter_tokens` does."""
    texts = [block.texts for block in before]
    new = [late.n_tokens - early.n_tokens for early, late in zip(before, after, strict=True)]
    starts = _text_starts(after)
    moved = starts + np.repeat(new, texts) - _text_starts(before)
    widths = np.repeat([block.width for block in before], texts)
    of_words = _counted(len(x), x.device) + _spread(moved, widths, x.device)
    of_tokens, rows = _token_places(starts, np.repeat(new, texts), texts, new)
    to, which = (send(numbers, x.device) for numbers in (of_tokens, rows))
    places = _Places(of_words, to, which, n_positions(after))
    return _Enter.apply(x, torch.cat(list(tokens)), mask, places)  # type: ignore[no-untyped-call]


class _Places(NamedTuple):
    """Where words and tokens go, which token each is, and how many positions there are then."""

    of_words: Tensor
    of_tokens: Tensor
    rows: Tensor
    total: int


class _Enter(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, tokens: Tensor, mask: Tensor | None, places: _Places
    ) -> Tensor:
        ctx.save_for_backward(mask)
        ctx.places, ctx.n_tokens = places, len(tokens)
        out = x.new_empty(places.total, x.shape[1])
        out.index_copy_(0, places.of_words, x)
        entering = tokens.index_select(0, places.rows)
        out.index_copy_(0, places.of_tokens, entering if mask is None else entering * mask)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        (mask,) = ctx.saved_tensors
        places: _Places = ctx.places
        entered = gradient.index_select(0, places.of_tokens)
        of_tokens = gradient.new_zeros(ctx.n_tokens, gradient.shape[1])
        of_tokens.index_add_(0, places.rows, entered if mask is None else entered * mask)
        return gradient.index_select(0, places.of_words), of_tokens, None, None


def _token_places(
    starts: np.ndarray, of_texts: np.ndarray, texts: Sequence[int], new: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the place of each token of each text, and which token it is among all blocks'."""
    number = np.arange(of_texts.sum()) - np.repeat(_starts(of_texts), of_texts)
    first = np.repeat(_starts(new), texts)
    return np.repeat(starts, of_texts) + number, np.repeat(first, of_texts) + number


def _text_starts(blocks: Sequence[Block]) -> np.ndarray:
    """Return the first place of each text, (N,)."""
    texts = [block.texts for block in blocks]
    number = np.arange(sum(texts)) - np.repeat(_starts(texts), texts)
    firsts, widths = [block.start for block in blocks], [block.width for block in blocks]
    return np.repeat(firsts, texts) + number * np.repeat(widths, texts)


def _starts(sizes: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.cumsum(sizes) - sizes


def _counted(count: int, device: torch.device) -> Tensor:
    return torch.arange(count, device=device)


def _spread(values: np.ndarray, counts: Sequence[int] | np.ndarray, device: torch.device) -> Tensor:
    """Return each value so many times; nothing waits for the device."""
    both = send(np.stack([values, counts]), device)
    return both[0].repeat_interleave(both[1], output_size=int(np.sum(counts)))
