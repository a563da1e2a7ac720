"""From the words of a pass to what the heads read, by the plans of its parts.

The texts of all parts stand in one tensor of positions (`layout.py`) and go up together: what
enters (`entrance.py`), the layers, and the readout (`readout.py`), each by the banks of its part's
plan. A row leaves after the layer it reads. Shapes: P positions, N texts, D width.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from mtl_core.model.entrance import bring_tokens, embed_texts
from mtl_core.model.layer import LayerBanks, LayerWork, Reading, layer_shapes, run_layer
from mtl_core.model.layout import Block, place, text_blocks
from mtl_core.model.plan import layer_group
from mtl_core.model.readout import (
    final_norm,
    picks_position,
    read_means_and_words,
    read_places,
)
from mtl_core.model.segment import Segment
from mtl_core.model.segments import Segments
from mtl_core.model.work import (
    Company,
    Stretch,
    Work,
    bounds_of,
    first_blocks,
    split_blocks,
    tables_of,
)

# Shown the blocks of a layer, their segments, and queries, keys and values, (P, 3 D).
Watch = Callable[[Sequence[Block], Sequence[Segment], Tensor], None]


def sentence_vectors(
    works: Sequence[Work], dtype: torch.dtype, watch: Watch | None = None
) -> Stretch:
    """Return what the heads read, in an order of its own: a block for texts of one row.

    One position a text; of a pair whose texts are read apart, two; of a text whose words are read,
    one for each word.

    Args:
        works: Of one family.
        dtype: Type of the products.
        watch: For who looks at the attention; shown every layer, from the lowest.
    """
    company = Company(works, dtype)
    segments = Segments(company)
    now = embed_texts(company, first_blocks(works))
    read: list[Stretch] = []
    now = read_means_and_words(company, 0, now, read)
    for layer in range(1, 1 + max(work.plan.n_layers for work in works)):
        now = bring_tokens(company, layer, now)
        picked = [picks_position(company, layer, block) for block in now.blocks]
        going, leaving = split_blocks(now, picked)
        if leaving.blocks:
            vectors = _layer(company, segments, layer, leaving, watch, read=True)
            texts = Stretch(text_blocks(leaving.blocks), vectors)
            read.append(final_norm(company, layer, texts))
        if going.blocks:
            x = _layer(company, segments, layer, going, watch, read=False)
            going = Stretch(going.blocks, x)
        now = read_means_and_words(company, layer, going, read)
    if len(read) == 1:
        return read[0]
    blocks = place([block for part in read for block in part.blocks])
    return Stretch(blocks, torch.cat([part.x for part in read]))


def _layer(
    company: Company,
    segments: Segments,
    layer: int,
    part: Stretch,
    watch: Watch | None,
    *,
    read: bool,
) -> Tensor:
    """Return the layer's output; where it is read, of the positions that are read alone."""
    shapes = tuple(layer_shapes(company.config).values())
    found, reading = company.runs(part.blocks, layer), None
    if read:
        texts = text_blocks(part.blocks)
        reading = Reading(
            places=read_places(company, part.blocks),
            bounds=bounds_of(company.runs(texts, layer)),
            spans=company.spans(texts, "dropout"),
        )
    of_texts = segments.of(part.blocks)
    work = LayerWork(
        banks=LayerBanks(*tables_of(company.works, found, layer_group(layer), shapes)),
        bounds=bounds_of(found),
        segments=of_texts,
        spans=company.spans(part.blocks, "dropout"),
        n_heads=company.config.n_heads,
        dtype=company.type,
        norm=company.config.norm,
        activation=company.config.activation,
        norm_eps=company.config.norm_eps,
        reading=reading,
        watch=None if watch is None else partial(watch, part.blocks, of_texts),
    )
    return run_layer(part.x, work)
