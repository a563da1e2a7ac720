"""What enters a pass: the words of all texts before the first layer, and tokens before any other.

Shapes: P positions, S tokens before the words, D width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np
import torch
from torch import Tensor

from mtl_core.model.banks import Shapes, unpack
from mtl_core.model.dropout import drop, drop_mask
from mtl_core.model.embedding import embed, enter_tokens
from mtl_core.model.embedding_as_one import EmbeddedPart
from mtl_core.model.grouped import as_one, grouped_norm
from mtl_core.model.layout import Block, place
from mtl_core.model.linear import linear
from mtl_core.model.plan import layer_group
from mtl_core.model.reads import OtherTokens
from mtl_core.model.tables import embedding_shapes
from mtl_core.model.token_types import add_other_types, with_first_type
from mtl_core.model.work import Company, Stretch, Work, bounds_of


def embed_texts(company: Company, blocks: tuple[Block, ...]) -> Stretch:
    """Return words and positions of the texts, brought to the model's width, (P, D)."""
    group, width = layer_group(0), company.config.d_word
    shapes = tuple(embedding_shapes(company.config).values())[-2:]  # of the projection, or norm
    n_last, n_types = sum(prod(shape) for shape in shapes), company.config.n_types
    parts, types, last = [], [], {}
    for number, work in enumerate(company.works):
        rows = work.banks.rows[group]
        sizes = [rows.shape[1] - n_types * width - n_last, n_types * width, n_last]
        positions, of_types, last[number] = torch.split(rows, sizes, 1)
        mine = [block for block in blocks if block.part == number]
        banks = [work.banks.place(group, work.plan.groups[0][block.task]) for block in mine]
        positions = positions.view(len(rows), -1, width)
        if n_types:
            types.append(of_types.view(len(rows), n_types, width))
            positions = with_first_type(positions, types[-1])
        words = work.banks.rows["words"]
        parts.append(EmbeddedPart(mine, work.word_places, words, positions, banks))
    x = embed(parts)
    for work, part, table in zip(company.works, parts, types, strict=False):
        if (of_words := _types(work)) is not None:
            x = add_other_types(x, table, of_words, part.blocks, part.of_block)
    return Stretch(blocks, _bring_in(company, x, blocks, last, shapes))


def _types(work: Work) -> Tensor | None:
    """Return 1 for the words of the second text of a pair, else 0, (N, T); None: all are 0."""
    seconds, places = work.batch.seconds, work.word_places
    if work.config.n_types < 2 or seconds is None:
        return None
    starts = seconds[:, None] + work.word_offset
    types = np.arange(places.shape[1]) >= starts
    return torch.from_numpy(types.astype(np.int64)).to(places.device, non_blocking=True)


def _bring_in(
    company: Company,
    x: Tensor,
    blocks: tuple[Block, ...],
    last: Mapping[int, Tensor],
    shapes: Shapes,
) -> Tensor:
    """Return the embedding as it enters the layers: projected, or of post-norm models normed.

    Args:
        last: The tables of that, side by side, of each part.
        shapes: Theirs.
    """
    post, group = company.config.norm == "post", layer_group(0)
    found = company.runs(blocks, 0)
    chosen = [
        (last[part], company.works[part].banks.place(group, bank)) for _, _, (part, bank) in found
    ]
    weights, biases = unpack(chosen, shapes, as_one=as_one(company.device, len(chosen)))
    bounds, spans = bounds_of(found), company.spans(blocks, "dropout_embedding")
    if post:
        eps = company.config.norm_eps
        return drop(grouped_norm(x, weights, biases, bounds, company.stream, eps=eps), spans)
    x = linear(drop(x, spans).to(company.type), weights, biases, bounds)
    return x.to(company.stream)


def bring_tokens(company: Company, layer: int, now: Stretch) -> Stretch:
    """Return the blocks with the tokens that enter before this layer."""
    enters = [_n_entering(company, layer, block) for block in now.blocks]
    if not any(enters):
        return now
    blocks = [
        replace(block, n_tokens=block.n_tokens + count)
        for block, count in zip(now.blocks, enters, strict=True)
    ]
    after = place(blocks)
    entering = [block for block, count in zip(after, enters, strict=True) if count]
    tokens = [_tokens(company, block) for block in entering]
    mask = _token_mask(company, entering)
    return Stretch(after, enter_tokens(now.x, now.blocks, after, tokens, mask))


def _n_entering(company: Company, layer: int, block: Block) -> int:
    plan = company.works[block.part].plan
    enters = plan.token_depth[block.task] == layer - 1
    return len(plan.tokens_of(block.task)) if enters else 0


def _tokens(company: Company, block: Block) -> Tensor:
    """Return the tokens that enter before the words of a block's texts, (S, D)."""
    work = company.works[block.part]
    if work.plan.other_tokens is OtherTokens.DETACHED:
        return _own_among_detached(company, block)
    tokens = work.plan.tokens_of(block.task)
    numbers = [work.banks.place("tokens", token) for token in tokens]
    table = work.banks.rows["tokens"]
    return table if numbers == list(range(len(table))) else table[numbers]


def _own_among_detached(company: Company, block: Block) -> Tensor:
    banks, task = company.works[block.part].banks, block.task
    place, all_tokens = banks.place("tokens", task), banks.rows["detached_tokens"]
    own = banks.rows["tokens"][place : place + 1]
    return torch.cat([all_tokens[:task], own, all_tokens[task + 1 :]])


def _token_mask(company: Company, blocks: Sequence[Block]) -> Tensor | None:
    """Return the dropout of the tokens that have entered, those of all texts in turn."""
    alone = place([replace(block, n_words=0) for block in blocks])
    width = company.works[0].config.d_model
    spans = company.spans(alone, "dropout_embedding")
    return drop_mask(spans, width, company.stream, company.device)
