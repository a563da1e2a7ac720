"""The parts of a pass side by side: what each brings, and the blocks that their rows become.

Shapes: P positions, N texts, T positions of a text, D width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mtl_core.data.minibatch import Minibatch
from mtl_core.kernels.tiles import Bounds
from mtl_core.model.banks import Banks, Chosen, Shapes, Tables, unpack
from mtl_core.model.config import EncoderConfig
from mtl_core.model.dropout import Noise, Span
from mtl_core.model.grouped import as_one
from mtl_core.model.layout import Block, Run, common_widths, cut_by_width, place, runs
from mtl_core.model.plan import SharingPlan
from mtl_core.model.reads import Reads, Tokens


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one part brings to a pass, its weights at hand.

    Args:
        word_places: Row of the word table of each word, the <cls> word's put first, (N, T), on
            the CPU.
        lengths: The batch's, as a list.
        noise: Source of dropout; None: no dropout.
        reads: What the head of each task reads.
        n_outputs: Classes, or other numbers, that the head of each task gives.
    """

    plan: SharingPlan
    config: EncoderConfig
    batch: Minibatch
    word_places: Tensor
    lengths: np.ndarray
    banks: Banks
    noise: Noise | None
    reads: Sequence[Reads]
    n_outputs: Sequence[int]

    @property
    def word_offset(self) -> int:
        """Words put before those of the minibatch."""
        return int(self.plan.tokens is Tokens.CLS_WORD and not self.config.brings_cls)


@dataclass(frozen=True)
class Stretch:
    """Some blocks of a pass and what stands at their positions, (P, D)."""

    blocks: tuple[Block, ...]
    x: Tensor


class Company:
    """All parts of a pass, which are of one family, and the types that it is computed in.

    Args:
        dtype: Type of the products.
    """

    def __init__(self, works: Sequence[Work], dtype: torch.dtype) -> None:
        self.works = works
        words = works[0].banks.rows["words"]
        double = words.dtype is torch.float64  # a model that was made double stays so
        self.type = torch.float64 if double else dtype  # of the products
        self.stream = torch.float64 if double else torch.float32  # of a text on its way up
        self.device = words.device
        self.config = works[0].config  # in its sizes and manners that of all

    def runs(
        self, blocks: Sequence[Block], layer: int, *, norm: bool = False
    ) -> list[Run[tuple[int, int]]]:
        """Return the runs of blocks of one part with one bank, of a layer or of its final norm."""

        def part_and_bank(block: Block) -> tuple[int, int]:
            plan = self.works[block.part].plan
            row = plan.norm_banks(layer) if norm else plan.groups[layer]
            return block.part, row[block.task]

        return runs(blocks, part_and_bank)

    def spans(self, blocks: Sequence[Block], share: str) -> list[Span]:
        """Return the places of each part with its dropout, the value `share` of its encoder."""
        return [
            Span(start, end, self.works[part].noise, getattr(self.works[part].config, share))
            for start, end, part in runs(blocks, lambda block: block.part)
        ]

    def lengths(self, block: Block) -> np.ndarray:
        """Return the words of each text, its <cls> word counted."""
        work = self.works[block.part]
        mine = work.lengths[block.first_text : block.first_text + block.texts]
        return mine + work.word_offset


def tables_of(
    works: Sequence[Work], found: Sequence[Run[tuple[int, int]]], group: str, shapes: Shapes
) -> list[Tables]:
    """Return the tables of a group by kind, those of each run; its key is its part and bank."""
    banks = [(works[part].banks, bank) for _, _, (part, bank) in found]
    chosen: Chosen = [(mine.rows[group], mine.place(group, bank)) for mine, bank in banks]
    return unpack(chosen, shapes, as_one=as_one(chosen[0][0].device, len(found)))


def bounds_of(found: Sequence[Run[tuple[int, int]]]) -> Bounds:
    """Return the places of runs."""
    return tuple((start, end) for start, end, _ in found)


def first_blocks(works: Sequence[Work]) -> tuple[Block, ...]:
    """Return the rows of all parts, side by side where they share banks or have one width."""
    parts = []
    for number, work in enumerate(works):
        batch, first = work.batch, 0
        blocks = []
        for task, size, width in zip(batch.tasks, batch.sizes, _widths(work), strict=True):
            for start, stop, of_part in _cuts(work, first, size, width):
                n_words = of_part + work.word_offset
                blocks.append(Block(number, task, first + start, stop - start, n_words))
            first += size
        parts.append(sorted(blocks, key=_order(work.plan)))
    parts.sort(key=lambda blocks: blocks[0].n_words)
    return place([block for blocks in parts for block in blocks])


def _cuts(work: Work, first: int, size: int, width: int) -> list[tuple[int, int, int]]:
    """Return the parts of a row, and the words to which the texts of each are padded."""
    on_cpu = work.banks.rows["words"].device.type == "cpu"
    if not on_cpu or work.config.mean_over_padding:
        return [(0, size, width)]
    return cut_by_width(work.lengths[first : first + size], width, work.config.d_model)


def _order(plan: SharingPlan) -> Callable[[Block], tuple[tuple[int, ...], int, int]]:
    paths = tuple(zip(*plan.groups, strict=True))
    return lambda block: (paths[block.task], block.n_words, block.first_text)


def _widths(work: Work) -> tuple[int, ...]:
    """Return the words to which the texts of each row are padded."""
    sizes, padded = work.batch.sizes, work.batch.words.shape[1]
    if len(sizes) == 1 or work.config.mean_over_padding:
        return (padded,) * len(sizes)
    starts = np.cumsum([0, *sizes[:-1]])
    return common_widths(np.maximum.reduceat(work.lengths, starts).tolist())


def split_blocks(now: Stretch, leaving: Sequence[bool]) -> tuple[Stretch, Stretch]:
    """Return the blocks that go on, and those that are leaving."""
    if not any(leaving):
        return now, Stretch((), now.x[:0])
    if all(leaving):
        return Stretch((), now.x[:0]), now
    pieces = torch.split(now.x, [block.end - block.start for block in now.blocks])
    sides: list[Stretch] = []
    for side in (False, True):
        chosen = [at for at, leaves in enumerate(leaving) if leaves is side]
        blocks = place([now.blocks[at] for at in chosen])
        sides.append(Stretch(blocks, torch.cat([pieces[at] for at in chosen])))
    return sides[0], sides[1]
