"""What a configuration will cost on a corpus, before anything is trained.

Steps and parameters are exact for the first epoch; operations are rough: matrix products alone, no
padding, an update three times a forward pass. How long that takes is for the caller to say, who
knows the machine.
"""

from dataclasses import dataclass

import numpy as np

from mtl_core.data.batches import plan_epoch
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.model.config import EncoderConfig
from mtl_core.model.plan import SharingPlan
from mtl_core.model.reads import Tokens
from mtl_core.model.words import word_ids_of_banks
from mtl_core.training.config import TrialConfig
from mtl_core.training.models import plan_of, reads_of_tasks


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Of one trial.

    Args:
        steps_per_epoch: Updates in an epoch; where a token budget sets them they may vary a little.
        steps: Updates in the whole training, if no patience ends it.
        words_per_epoch: Words trained on in an epoch, without padding.
        parameters: Trainable, without word vectors and positions.
        word_vectors: Word vectors of all banks.
        flops_per_epoch: Floating-point operations of an epoch, dev rows included.
    """

    steps_per_epoch: int
    steps: int
    words_per_epoch: int
    parameters: int
    word_vectors: int
    flops_per_epoch: float


def estimate(corpus: EncodedCorpus, config: TrialConfig, *, seed: int = 0) -> Estimate:
    """Return the estimate of a trial on the corpus."""
    plan = plan_of(config, corpus.n_tasks)
    lengths = corpus.lengths("train")
    steps = plan_epoch(lengths, corpus.names, config.batches, seed=seed, epoch=1)
    trained = [lengths[row.task][row.examples] for step in steps for row in step]
    forward = sum(flops(plan, config.encoder, of_row) for of_row in trained)
    of_dev = sum(flops(plan, config.encoder, of_task) for of_task in corpus.lengths("dev"))
    all_known = config.encoder.pretrained is not None
    words = word_ids_of_banks(plan, corpus.vocabulary_of_tasks(), all_known=all_known)
    return Estimate(
        steps_per_epoch=len(steps),
        steps=len(steps) * config.training.epochs,
        words_per_epoch=int(sum(of_row.sum() for of_row in trained)),
        parameters=plan.n_parameters(
            config.encoder, corpus.n_classes, reads_of_tasks(corpus.tasks, plan)
        ),
        word_vectors=sum(len(of_bank) for of_bank in words),
        flops_per_epoch=3 * forward + of_dev,
    )


def flops(plan: SharingPlan, config: EncoderConfig, lengths: np.ndarray) -> float:
    """Return the operations of a forward pass over texts of these lengths, two per product."""
    extra = {Tokens.NONE: 0, Tokens.ALL: plan.n_tasks}.get(plan.tokens, 1)
    width, positions = config.d_model, lengths.astype(np.float64) + extra
    per_position = 4 * width * width + 2 * width * config.d_ff  # one layer, without attention
    products = plan.n_layers * (per_position * positions + 2 * width * positions**2)
    return float(2 * (products + config.d_word * width * lengths).sum())
