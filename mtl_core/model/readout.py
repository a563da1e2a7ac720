"""What the heads read of the texts, after the layer at which their tasks read, and the final norm.

A sentence vector is one position, or the mean over a text's words; of a pair there is a mean of
each text; where words are tagged, each word is read.
Shapes: P positions, N texts, T positions of a text, D width.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mtl_core.data.minibatch import spans
from mtl_core.model.grouped import grouped_norm
from mtl_core.model.layout import Block, place
from mtl_core.model.plan import norm_group
from mtl_core.model.pooling import mean_of_words
from mtl_core.model.reads import Readout, Reads, Tokens
from mtl_core.model.work import Company, Stretch, bounds_of, split_blocks, tables_of


def read_means_and_words(
    company: Company, layer: int, now: Stretch, read: list[Stretch]
) -> Stretch:
    """Add to `read` what is read after this layer of all positions; return the rest."""
    ends = [_reads(company, layer, block) for block in now.blocks]
    going, leaving = split_blocks(now, ends)
    if leaving.blocks:
        normed = final_norm(company, layer, leaving)
        of_words = [_kind(company, block) is Reads.WORDS for block in leaving.blocks]
        means, words = split_blocks(normed, of_words)
        if means.blocks:
            read.append(_means(company, means))
        if words.blocks:
            read.append(_words(company, words))
    return going


def _means(company: Company, part: Stretch) -> Stretch:
    """Return the mean over the words of each text; of a pair, one after the other."""
    pooled = [_pooled_spans(company, block) for block in part.blocks]
    blocks = [
        block._replace(n_words=of_block.shape[1] // 2, n_tokens=0)
        for block, of_block in zip(part.blocks, pooled, strict=True)
    ]
    return Stretch(place(blocks), mean_of_words(part.x, part.blocks, pooled))


def _words(company: Company, part: Stretch) -> Stretch:
    """Return the words of each text, padding and tokens left out, one position each."""
    blocks, places = [], []
    for block in part.blocks:
        lengths = company.works[block.part].lengths
        lengths = lengths[block.first_text : block.first_text + block.texts]
        first = block.n_tokens + company.works[block.part].word_offset
        starts = block.start + first + block.width * np.arange(block.texts)
        places.append(spans(starts, lengths))
        blocks.append(block._replace(texts=int(lengths.sum()), n_words=1, n_tokens=0))
    chosen = torch.from_numpy(np.concatenate(places)).to(company.device, non_blocking=True)
    return Stretch(place(blocks), part.x.index_select(0, chosen))


def final_norm(company: Company, layer: int, part: Stretch) -> Stretch:
    """Return the positions normed by the bank of the layer they are read at.

    A post-norm model has no final norm: its last layer ends with one.
    """
    if company.config.norm == "post":
        return part
    width, found = part.x.shape[1], company.runs(part.blocks, layer, norm=True)
    shapes = ((width,), (width,))
    weights, biases = tables_of(company.works, found, norm_group(layer), shapes)
    eps = company.config.norm_eps
    x = grouped_norm(part.x, weights, biases, bounds_of(found), part.x.dtype, eps=eps)
    return Stretch(part.blocks, x)


def _pooled_spans(company: Company, block: Block) -> np.ndarray:
    """Return the words that the means of each text are over: from and to, (texts, 2 or 4).

    Padding stands behind all words, so that in a pair it counts to the second text.
    """
    lengths, work = company.lengths(block), company.works[block.part]
    zeros = np.zeros_like(lengths)
    to = np.full_like(lengths, block.n_words) if work.config.mean_over_padding else lengths
    if _kind(company, block) is not Reads.PAIR:
        return np.stack([zeros, to], axis=1)
    assert work.batch.seconds is not None
    seconds = work.batch.seconds[block.first_text : block.first_text + block.texts]
    # What separates the texts stands last in the first of them and counts to neither.
    ends = np.maximum(seconds - 1, 1)
    return np.stack([zeros, ends, np.minimum(seconds, lengths - 1), to], axis=1)


def _kind(company: Company, block: Block) -> Reads:
    return company.works[block.part].reads[block.task]


def _reads(company: Company, layer: int, block: Block) -> bool:
    """Whether all positions of the block are read after this layer."""
    plan = company.works[block.part].plan
    of_all = plan.readout is Readout.MEAN or _kind(company, block) is Reads.WORDS
    return of_all and plan.readout_layer[block.task] == layer


def picks_position(company: Company, layer: int, block: Block) -> bool:
    """Whether one position of each text is read after this layer, and nothing else needed."""
    plan = company.works[block.part].plan
    return plan.readout_layer[block.task] == layer and not _reads(company, layer, block)


def read_places(company: Company, blocks: Sequence[Block]) -> Tensor:
    """Return the place of the <cls> word or token of each text, (N,)."""
    places = []
    for block in blocks:
        at = block.task if company.works[block.part].plan.tokens is Tokens.ALL else 0
        places.append(np.arange(block.start + at, block.end, block.width))
    return torch.from_numpy(np.concatenate(places)).to(company.device, non_blocking=True)
