"""A forward pass of several models at once, each with a minibatch of its own.

The models may differ in plan, dropout and depth; those of one `family` have banks of the same
shapes. What a model computes does not depend on which others are in the pass.
Shapes: I items of a part, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mtl_core.data.minibatch import Minibatch
from mtl_core.model.banks import Banks, Narrowed
from mtl_core.model.by_threads import outputs_by_threads
from mtl_core.model.config import EncoderConfig
from mtl_core.model.dropout import Noise
from mtl_core.model.precision import products_dtype
from mtl_core.model.wide import of_items, wide_logits
from mtl_core.model.work import Work

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


def compute_logits(
    parts: Sequence[Part], *, dtype: torch.dtype | None = None, n_threads: int | None = None
) -> list[Tensor]:
    """Return the outputs of each part, (I, C), float32 or wider.

    An item is a text, or where words are tagged a word; they stand in the order of the minibatch.
    Logits of classes that a text's task does not have are -inf. The models are of one family, and
    the largest number of classes is the same in all of them, as in models of one corpus.

    Args:
        dtype: Type of the products; None: what `precision` of their configuration comes to.
        n_threads: Of a CPU, that share the texts at most; None: as many as PyTorch may use.
    """
    config, device = parts[0].model.config, parts[0].model.words.device
    works = [work_of(part) for part in parts]
    deep = outputs_by_threads(works, dtype or products_dtype(config, device), n_threads)
    of_parts = zip(deep, parts, works, strict=True)
    return [_with_wide(outputs, part, work) for outputs, part, work in of_parts]


def family(config: EncoderConfig) -> tuple[int | float | str, ...]:
    """Return the sizes and manners that models must agree in to go through one pass."""
    sizes = (config.d_model, config.d_word, config.n_heads, config.d_ff, config.n_types)
    return *sizes, config.norm, config.norm_eps, config.activation, config.precision


def work_of(part: Part) -> Work:
    model, device = part.model, part.model.words.device
    if part.narrowed is None:
        banks, places = model.banks(), model.word_places(part.batch)
    else:
        banks = Banks(model.unmoved() | part.narrowed.tables, part.narrowed)
        places = part.narrowed.word_places
    return Work(
        plan=model.plan,
        config=model.config,
        batch=part.batch,
        word_places=places,
        lengths=part.batch.lengths.numpy(),
        banks=banks,
        noise=None if part.seed is None else Noise(device, part.seed),
        reads=model.reads,
        n_outputs=model.n_classes,
    )


def _with_wide(outputs: Tensor, part: Part, work: Work) -> Tensor:
    """Return the outputs of one part with what the n-grams of its texts add to them, (I, C)."""
    if part.model.wide_layout is None:
        return outputs
    lookup = part.narrowed.wide if part.narrowed else part.model.wide_lookup(part.batch)
    assert lookup is not None
    table = work.banks.rows["wide"]
    of_texts = wide_logits(table, lookup, work.noise, work.config.dropout_wide)
    return outputs + of_items(of_texts, part.batch, work.reads)
