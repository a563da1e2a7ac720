"""How many floating-point operations a text takes to be read, by the plan and the sizes.

Matrix products alone, attention included, two operations for a multiplication and its addition.
What a program computes beyond that (padding, attention weights made a second time) is no work.
"""

import numpy as np

from mtl_core.model.config import EncoderConfig
from mtl_core.model.plan import SharingPlan
from mtl_core.model.reads import Readout, Tokens


def text_flops(
    plan: SharingPlan, config: EncoderConfig, task: int, lengths: np.ndarray
) -> np.ndarray:
    """Return the operations of a forward pass for texts of these lengths, without the head."""
    width, inner = config.d_model, config.d_ff
    words = lengths.astype(np.float64) + (plan.tokens is Tokens.CLS_WORD)
    total = 2 * config.d_word * width * words
    for layer in range(1, 1 + plan.readout_layer[task]):
        entered = plan.token_depth[task] < layer
        positions = words + (len(plan.tokens_of(task)) if entered else 0)
        top = layer == plan.readout_layer[task] and plan.readout is not Readout.MEAN
        read = np.ones_like(positions) if top else positions  # positions whose output is needed
        total += 2 * positions * width * 2 * width  # keys and values
        total += 2 * read * width * (2 * width + 2 * inner)  # queries, output and feed-forward
        total += 2 * 2 * read * positions * width  # attention: scores, and what they mix
    return total
