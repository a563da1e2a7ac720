"""How many floating-point operations the matrix products of a training step are worth.

Counted from the plan: the products that the texts need, attention included, two operations for a
multiplication and its addition, forward once and backward twice. What a program computes beyond
that (padding, attention weights made a second time) is no work and counts as time only.
Shapes: D width, E width of word vectors, F inner width.
"""

from collections.abc import Iterable

import numpy as np

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.minibatch import Step
from mtl_core.model.config import EncoderConfig
from mtl_core.model.plan import SharingPlan
from mtl_core.model.reads import Readout, Tokens
from mtl_core.model.structures import build_plan
from mtl_core.training.config import TrialConfig

UPDATE = 3  # operations of an update for each of a forward pass


def epoch_flops(corpus: EncodedCorpus, config: TrialConfig, steps: Iterable[Step]) -> float:
    """Return the operations of an epoch: updates over `steps`, and a pass over all dev rows."""
    dev = range(corpus.n_tasks)
    rows = [(task, corpus.split(task, "dev").lengths) for task in dev]
    return UPDATE * steps_flops(corpus, config, steps) + _forward(corpus, config, rows)


def steps_flops(
    corpus: EncodedCorpus, config: TrialConfig, steps: Iterable[Step], *, padded: bool = False
) -> float:
    """Return the operations of a forward pass over the train rows of `steps`.

    Args:
        padded: As if the texts of a row were all as long as its longest.
    """
    rows = []
    for step in steps:
        for row in step:
            lengths = corpus.split(row.task, "train").lengths[row.examples]
            if padded:
                lengths = np.full_like(lengths, lengths.max())
            rows.append((row.task, lengths))
    return _forward(corpus, config, rows)


def _forward(
    corpus: EncodedCorpus, config: TrialConfig, rows: Iterable[tuple[int, np.ndarray]]
) -> float:
    plan = build_plan(config.sharing, corpus.n_tasks, config.encoder.n_layers)
    heads = [2 * config.encoder.d_model * n for n in corpus.n_classes]
    return float(
        sum(
            text_flops(plan, config.encoder, task, of_row).sum() + heads[task] * len(of_row)
            for task, of_row in rows
        )
    )


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
