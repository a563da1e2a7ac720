"""Where the texts of a pass stand: blocks of positions, one after the other, without gaps.

A block is the texts of one row, padded to one width: (texts, tokens + words) positions. The blocks
of a part stand together, so everything that acts on single positions (norms, products, dropout)
goes over all lanes at once, by runs of blocks with the same bank; attention goes over neighbours of
the same width at once. Texts never see each other, so how they stand changes no result.
Shapes: P positions of all blocks, N texts of them.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)

# Rows are padded to the same width unless one is much shorter: that would be computing padding.
_WIDTH_RATIO = 0.85


class Run(NamedTuple, Generic[Key]):
    """Neighbouring blocks with something in common, `key`; they take the places start to end."""

    start: int
    end: int
    key: Key


@dataclass(frozen=True, slots=True)
class Block:
    """The texts of one row.

    Args:
        part: Part of the pass.
        row: Row of the part's minibatch, and `first_text` its first text there.
        texts: Number of texts.
        n_words: Words to which each text is padded, a `<cls>` word counted.
        n_tokens: Tokens that stand before the words.
        start: First place of the block among the P positions.
    """

    part: int
    row: int
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
            block = replace(block, start=start)
        placed.append(block)
        start = block.end
    return tuple(placed)


def text_blocks(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Return the blocks with one position for each text."""
    return place([replace(block, n_words=1, n_tokens=0) for block in blocks])


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
