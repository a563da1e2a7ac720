"""Where the texts of a pass stand: blocks of positions, one after the other, without gaps.

A block is texts of one row, padded to one width: (texts, tokens + words) positions. The blocks
of a part stand together, so everything that acts on single positions (norms, products, dropout)
goes over all lanes at once, by runs of blocks with the same bank; attention goes over neighbours of
the same width at once. Texts never see each other, so how they stand changes no result.
Shapes: P positions of all blocks, N texts of them.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np

Key = TypeVar("Key", bound=Hashable)

# Rows are padded to the same width unless one is much shorter: that would be computing padding.
_WIDTH_RATIO = 0.85
# On a CPU a row is cut where the parts save so much padding, in numbers, for each more block.
_WORTH_A_BLOCK = 1 << 13
_MOST_BLOCKS = 4


class Run(NamedTuple, Generic[Key]):
    """Neighbouring blocks with something in common, `key`; they take the places start to end."""

    start: int
    end: int
    key: Key


class Block(NamedTuple):
    """Neighbouring texts of one row.

    Args:
        part: Part of the pass.
        task: Their task.
        first_text: The first of them among the texts of the part's minibatch.
        texts: Number of texts.
        n_words: Words to which each text is padded, a `<cls>` word counted.
        n_tokens: Tokens that stand before the words.
        start: First place of the block among the P positions.
    """

    part: int
    task: int
    first_text: int
    texts: int
    n_words: int
    n_tokens: int = 0
    start: int = 0

    @property
    def width(self) -> int:
        return self.n_tokens + self.n_words

    @property
    def end(self) -> int:
        return self.start + self.texts * self.width


def place(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Return the blocks, each starting where the one before it ends."""
    placed, start = [], 0
    for block in blocks:
        if block.start != start:
            block = block._replace(start=start)
        placed.append(block)
        start = block.end
    return tuple(placed)


def text_blocks(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Return the blocks with one position for each text."""
    return place([block._replace(n_words=1, n_tokens=0) for block in blocks])


def n_positions(blocks: Sequence[Block]) -> int:
    return blocks[-1].end if blocks else 0


def runs(blocks: Sequence[Block], key: Callable[[Block], Key]) -> list[Run[Key]]:
    """Return the runs of blocks with equal keys."""
    found: list[Run[Key]] = []
    for block in blocks:
        of_block = key(block)
        if found and found[-1].key == of_block:
            found[-1] = Run(found[-1].start, block.end, of_block)
        else:
            found.append(Run(block.start, block.end, of_block))
    return found


def common_widths(longest: Sequence[int]) -> tuple[int, ...]:
    """Return the width to pad each row to: that of the longest row that is not much longer."""
    widths = [0] * len(longest)
    width = 0
    for row in sorted(range(len(longest)), key=lambda row: -longest[row]):
        if longest[row] < _WIDTH_RATIO * width or not width:
            width = longest[row]
        widths[row] = width
    return tuple(widths)


def cut_by_width(lengths: np.ndarray, width: int, d_model: int) -> list[tuple[int, int, int]]:
    """Return the parts of a row that are worth a width of their own: from, to, and the width.

    Args:
        lengths: Words of its texts, nearly in order.
        width: Words to which they are padded where it stays whole.
    """
    best, positions = [(0, len(lengths), width)], len(lengths) * width
    for count in range(2, min(_MOST_BLOCKS, len(lengths)) + 1):
        edges = [len(lengths) * part // count for part in range(count + 1)]
        longest = np.maximum.reduceat(lengths, edges[:-1]).tolist()
        parts = list(zip(edges, edges[1:], longest, strict=False))
        needed = sum((stop - start) * of_part for start, stop, of_part in parts)
        if (positions - needed) * d_model < _WORTH_A_BLOCK:
            break
        best, positions = parts, needed
    return best
