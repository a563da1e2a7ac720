"""A forward pass of several models at once, each with a minibatch of its own.

The models may differ in plan, dropout and depth; those of one `family` have banks of the same
shapes. What a model computes does not depend on which others are in the pass.
Shapes: N texts of a part, C classes, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mtl_core.data.batches import Minibatch
from mtl_core.model.banks import Banks, Kinds, Narrowed
from mtl_core.model.config import EncoderConfig
from mtl_core.model.dropout import Noise, Span
from mtl_core.model.grouped import grouped_linear
from mtl_core.model.layer import drop
from mtl_core.model.layout import Run, runs
from mtl_core.model.precision import products_dtype
from mtl_core.model.sentence import Stretch, Work, sentence_vectors, tables_of

if TYPE_CHECKING:
    from mtl_core.model.encoder import MultiTaskEncoder


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one model brings to a pass.

    Args:
        narrowed: `model.narrow(batch)`, whose leaves then get the gradients; None: the parameters
            do.
        seed: Decides every dropout of this part; None: nothing is dropped, as in evaluation.
    """

    model: "MultiTaskEncoder"
    batch: Minibatch
    narrowed: Narrowed | None = None
    seed: int | None = None


def compute_logits(parts: Sequence[Part]) -> list[Tensor]:
    """Return the logits of each part, (N, C), float32 or wider.

    Logits of classes that a text's task does not have are -inf. The models are of one family, and
    the largest number of classes is the same in all of them, as in models of one corpus.
    """
    config, device = parts[0].model.config, parts[0].batch.words.device
    works = [_work(part) for part in parts]
    read = sentence_vectors(works, products_dtype(config, device))
    logits = _class_logits(works, parts, read)
    return _by_part(logits, read, parts)


def family(config: EncoderConfig) -> tuple[int | str, ...]:
    """Return the sizes that models must agree in to go through one pass."""
    return (config.d_model, config.d_word, config.n_heads, config.d_ff, config.precision)


def _work(part: Part) -> Work:
    model, device = part.model, part.batch.words.device
    if part.narrowed is None:
        banks, places = model.banks(), model.word_places(part.batch)
    else:
        rows = {"words": model.words} | part.narrowed.tables
        banks, places = Banks(rows, part.narrowed.places), part.narrowed.word_places
    return Work(
        plan=model.plan,
        config=model.config,
        batch=part.batch,
        word_places=places,
        lengths=part.batch.lengths.numpy(),
        banks=banks,
        noise=None if part.seed is None else Noise(device, part.seed),
    )


def _class_logits(works: Sequence[Work], parts: Sequence[Part], read: Stretch) -> Tensor:
    """Return the logits of the texts in the order they were read, (N, C)."""
    x, blocks = read.x, read.blocks
    spans = [
        Span(start, end, works[part].noise, works[part].config.dropout_head)
        for start, end, part in runs(blocks, lambda block: block.part)
    ]
    x = drop(x, spans)
    of_tasks = runs(blocks, lambda block: (block.part, block.task))
    width, n_classes = x.shape[1], max(parts[0].model.n_classes)
    kinds = Kinds(((width, n_classes), (n_classes,)), (x.dtype, x.dtype))
    weights, biases = tables_of(works, of_tasks, "heads", kinds)
    bounds = tuple((start, end) for start, end, _ in of_tasks)
    logits = grouped_linear(x, weights, biases, bounds)
    return _leave_out_missing_classes(logits, parts, of_tasks)


def _leave_out_missing_classes(
    logits: Tensor, parts: Sequence[Part], of_tasks: Sequence[Run[tuple[int, int]]]
) -> Tensor:
    """Return the logits with -inf for the classes that a task lacks."""
    n_classes = logits.shape[1]
    short = [
        (start, end, parts[part].model.n_classes[task])
        for start, end, (part, task) in of_tasks
        if parts[part].model.n_classes[task] < n_classes
    ]
    if not short:
        return logits
    missing = torch.zeros(logits.shape, dtype=torch.bool)
    for start, end, count in short:
        missing[start:end, count:] = True
    return logits.masked_fill(missing.to(logits.device), -torch.inf)


def _by_part(logits: Tensor, read: Stretch, parts: Sequence[Part]) -> list[Tensor]:
    """Return the texts of each part, in the order of its minibatch."""
    pieces = torch.split(logits, [block.texts for block in read.blocks])
    found: list[list[tuple[int, Tensor]]] = [[] for _ in parts]
    for block, piece in zip(read.blocks, pieces, strict=True):
        found[block.part].append((block.first_text, piece))
    rows = [[piece for _, piece in sorted(part, key=lambda text: text[0])] for part in found]
    return [torch.cat(of_part) if len(of_part) > 1 else of_part[0] for of_part in rows]
