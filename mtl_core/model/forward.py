"""A forward pass of several models at once, each with a minibatch of its own.

The models may differ in plan, dropout and depth; those of one `family` have banks of the same
shapes. What a model computes does not depend on which others are in the pass.
Shapes: N texts of a part, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtl_core.data.batches import Minibatch
from mtl_core.model.banks import Narrowed
from mtl_core.model.config import EncoderConfig
from mtl_core.model.encoder import MultiTaskEncoder


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one model brings to a pass.

    Args:
        narrowed: `model.narrow(batch)`, whose leaves then get the gradients; None: the parameters
            do.
        seed: Decides every dropout of this part; None: nothing is dropped, as in evaluation.
    """

    model: MultiTaskEncoder
    batch: Minibatch
    narrowed: Narrowed | None = None
    seed: int | None = None


def compute_logits(parts: Sequence[Part]) -> list[Tensor]:
    """Return the logits of each part, (N, C) float32; the models are of one family."""
    logits = []
    for part in parts:
        part.model.train(part.seed is not None)
        if part.seed is not None:
            torch.default_generator.manual_seed(part.seed)
        logits.append(part.model(part.batch, part.narrowed).float())
    return logits


def family(config: EncoderConfig) -> tuple[int, ...]:
    """Return the sizes that models must agree in to go through one pass."""
    return (config.d_model, config.d_word, config.n_heads, config.d_ff)
