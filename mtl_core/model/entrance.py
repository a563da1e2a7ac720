"""What enters a pass: the words of all texts before the first layer, and tokens before any other.

Shapes: P positions, S tokens before the words, D width.
"""

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

from mtl_core.kernels.tiles import send
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
    mine: dict[int, list[Block]] = {}
    for block in blocks:
        mine.setdefault(block.part, []).append(block)
    parts, types, last = [], [], {}
    cut: dict[Tensor, tuple[Tensor, Tensor | None, Tensor]] = {}  # tables that parts have in common
    for number, work in enumerate(company.works):
        rows = work.banks.rows[group]
        if rows not in cut:
            sizes = [rows.shape[1] - n_types * width - n_last, n_types * width, n_last]
            positions, flat, of_last = torch.split(rows, sizes, 1)
            positions = positions.view(len(rows), -1, width)
            of_types = None
            if n_types:
                of_types = flat.view(len(rows), n_types, width)
                positions = with_first_type(positions, of_types)
            cut[rows] = positions, of_types, of_last
        positions, of_types, last[number] = cut[rows]
        types.append(of_types)
        banks = [work.banks.place(group, work.plan.groups[0][b.task]) for b in mine[number]]
        words = work.banks.rows["words"]
        parts.append(EmbeddedPart(mine[number], work.word_places, words, positions, banks))
    x = embed(parts)
    for work, part, table in zip(company.works, parts, types, strict=True):
        if table is not None and (of_words := _types(work, x.device)) is not None:
            x = add_other_types(x, table, of_words, part.blocks, part.of_block)
    return Stretch(blocks, _bring_in(company, x, blocks, last, shapes))


def _types(work: Work, device: torch.device) -> Tensor | None:
    """Return 1 for the words of the second text of a pair, else 0, (N, T); None: all are 0."""
    seconds, places = work.batch.seconds, work.word_places
    if work.config.n_types < 2 or seconds is None:
        return None
    starts = seconds[:, None] + work.word_offset
    types = np.arange(places.shape[1]) >= starts
    return send(types.astype(np.int64), device)


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
        block._replace(n_tokens=block.n_tokens + count)
        for block, count in zip(now.blocks, enters, strict=True)
    ]
    after = place(blocks)
    entering = [block for block, count in zip(after, enters, strict=True) if count]
    tokens = _all_tokens(company, entering)
    mask = _token_mask(company, entering)
    return Stretch(after, enter_tokens(now.x, now.blocks, after, tokens, mask))


def _n_entering(company: Company, layer: int, block: Block) -> int:
    plan = company.works[block.part].plan
    enters = plan.token_depth[block.task] == layer - 1
    return len(plan.tokens_of(block.task)) if enters else 0


def _all_tokens(company: Company, blocks: Sequence[Block]) -> list[Tensor]:
    """Return the tokens that enter before the words of each block's texts, (S, D); where all are
    of one table, one below the other in one tensor."""
    numbers = [_token_rows(company, block) for block in blocks]
    tables = dict.fromkeys(company.works[block.part].banks.rows["tokens"] for block in blocks)
    if len(blocks) > 1 and len(tables) == 1 and None not in numbers and as_one(company.device, 2):
        (table,) = tables
        return [_rows_of(table, [row for mine in numbers for row in mine or ()])]
    return [
        _own_among_detached(company, block)
        if rows is None
        else _rows_of(company.works[block.part].banks.rows["tokens"], rows)
        for block, rows in zip(blocks, numbers, strict=True)
    ]


def _token_rows(company: Company, block: Block) -> list[int] | None:
    """Return the rows of the table of tokens; None where not all get a gradient from it."""
    work = company.works[block.part]
    if work.plan.other_tokens is OtherTokens.DETACHED:
        return None
    return [work.banks.place("tokens", token) for token in work.plan.tokens_of(block.task)]


def _rows_of(table: Tensor, numbers: list[int]) -> Tensor:
    if numbers == list(range(len(table))):
        return table
    return table.index_select(0, send(np.array(numbers), table.device))


def _own_among_detached(company: Company, block: Block) -> Tensor:
    banks, task = company.works[block.part].banks, block.task
    place, all_tokens = banks.place("tokens", task), banks.rows["detached_tokens"]
    own = banks.rows["tokens"][place : place + 1]
    return torch.cat([all_tokens[:task], own, all_tokens[task + 1 :]])


def _token_mask(company: Company, blocks: Sequence[Block]) -> Tensor | None:
    """Return the dropout of the tokens that have entered, those of all texts in turn."""
    alone = place([block._replace(n_words=0) for block in blocks])
    width = company.works[0].config.d_model
    spans = company.spans(alone, "dropout_embedding")
    return drop_mask(spans, width, company.stream, company.device)
