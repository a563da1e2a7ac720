"""What all lanes of an engine have in common."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.training.evaluation import SplitBatches
from mtl_core.training.mlm import WarmUp, WordVectors


@dataclass(frozen=True)
class Surroundings:
    """Data, device, and what encoders start from.

    Args:
        vectors: Word vectors to start from, and which words were found.
        lengths: Words of every train text, one array per task.
        dev: The dev rows.
        warm_up: What warms up the encoders that ask for it.
    """

    corpus: EncodedCorpus
    device: torch.device
    vectors: WordVectors | None
    lengths: Sequence[np.ndarray]
    dev: SplitBatches
    warm_up: WarmUp | None = None
