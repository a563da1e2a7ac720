"""From what was read of the texts to the outputs of their tasks: each task has a linear head.

A head reads a sentence vector, the vector of a word, or both vectors of a pair: these, their
distance and their product side by side (Conneau et al., 2017).
Shapes: P vectors that were read, I items of a part, C classes, D width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_core.model.dropout import Span, drop
from mtl_core.model.layout import Run, runs, text_blocks
from mtl_core.model.linear import linear
from mtl_core.model.reads import Reads
from mtl_core.model.work import Stretch, Work, split_blocks, tables_of


def head_outputs(works: Sequence[Work], read: Stretch) -> list[Tensor]:
    """Return the outputs of each part, (I, C), in the order of its minibatch.

    Args:
        read: What `sentence_vectors` returned.
    """
    spans = [
        Span(start, end, works[part].noise, works[part].config.dropout_head)
        for start, end, part in runs(read.blocks, lambda block: block.part)
    ]
    read = Stretch(read.blocks, drop(read.x, spans))
    is_pair = [works[block.part].reads[block.task] is Reads.PAIR for block in read.blocks]
    alone, pairs = split_blocks(read, is_pair)
    found: list[Stretch] = []
    if alone.blocks:
        found.append(_outputs(works, alone, "heads"))
    if pairs.blocks:
        both = Stretch(text_blocks(pairs.blocks), _of_pairs(pairs.x))
        found.append(_outputs(works, both, "pair_heads"))
    return _by_part(found, len(works))


def _of_pairs(x: Tensor) -> Tensor:
    """Return what is read of each pair, (P / 2, 4 D)."""
    first, second = x[::2], x[1::2]
    return torch.cat([first, second, (first - second).abs(), first * second], dim=1)


def _outputs(works: Sequence[Work], read: Stretch, group: str) -> Stretch:
    """Return the outputs in the order in which the vectors were read, (P, C)."""
    of_tasks = runs(read.blocks, lambda block: (block.part, block.task))
    width, n_classes = read.x.shape[1], max(works[0].n_outputs)
    shapes = ((width, n_classes), (n_classes,))
    weights, biases = tables_of(works, of_tasks, group, shapes)
    bounds = tuple((start, end) for start, end, _ in of_tasks)
    outputs = linear(read.x, weights, biases, bounds)
    return Stretch(read.blocks, _leave_out_missing_classes(outputs, works, of_tasks))


def _leave_out_missing_classes(
    outputs: Tensor, works: Sequence[Work], of_tasks: Sequence[Run[tuple[int, int]]]
) -> Tensor:
    """Return the outputs with -inf for the classes that a task lacks."""
    n_classes = outputs.shape[1]
    short = [
        (start, end, works[part].n_outputs[task])
        for start, end, (part, task) in of_tasks
        if works[part].n_outputs[task] < n_classes
    ]
    if not short:
        return outputs
    missing = torch.zeros(outputs.shape, dtype=torch.bool)
    for start, end, count in short:
        missing[start:end, count:] = True
    return outputs.masked_fill(missing.to(outputs.device, non_blocking=True), -torch.inf)


def _by_part(found: Sequence[Stretch], n_parts: int) -> list[Tensor]:
    """Return the items of each part, in the order of its minibatch."""
    pieces: list[list[tuple[int, Tensor]]] = [[] for _ in range(n_parts)]
    for stretch in found:
        parts: Sequence[Tensor] = [stretch.x]
        if len(stretch.blocks) > 1:  # a split would copy the gradients
            parts = torch.split(stretch.x, [block.texts for block in stretch.blocks])
        for block, piece in zip(stretch.blocks, parts, strict=True):
            pieces[block.part].append((block.first_text, piece))
    rows = [[piece for _, piece in sorted(part, key=lambda text: text[0])] for part in pieces]
    return [torch.cat(of_part) if len(of_part) > 1 else of_part[0] for of_part in rows]
