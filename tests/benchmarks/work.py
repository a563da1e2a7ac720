"""How many floating-point operations the matrix products of a training step are worth.

Counted from the plan (`mtl_core/model/flops.py`): the products that the texts need, forward once
and backward twice. What a program computes beyond that is no work and counts as time only.
"""

from collections.abc import Iterable

import numpy as np

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.minibatch import Step
from mtl_core.model.flops import text_flops
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
