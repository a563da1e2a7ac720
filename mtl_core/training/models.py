"""The encoder of a configuration on a corpus: new, or with weights that were kept.

What is kept of a model is its parameters by name; everything else follows from the configuration,
the tasks and the words of their train splits.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mtl_core.data.encoded import EncodedCorpus, TaskInfo
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.plan import Reads, SharingPlan, reads_of
from mtl_core.model.structures import build_plan
from mtl_core.training.config import TrialConfig

WordVectors = tuple[np.ndarray, np.ndarray]  # matrix (V, E) float32, found (V,) bool


def build_model(
    corpus: EncodedCorpus, config: TrialConfig, *, seed: int, vectors: WordVectors | None = None
) -> MultiTaskEncoder:
    """Return the encoder at the start of its training, on the CPU."""
    matrix, found = vectors or (None, None)
    plan = build_plan(config.sharing, corpus.n_tasks, config.encoder.n_layers)
    return MultiTaskEncoder(
        plan,
        config.encoder,
        reads=reads_of_tasks(corpus.tasks, plan),
        n_classes=corpus.n_classes,
        vocabulary_of_tasks=corpus.vocabulary_of_tasks(),
        max_words=corpus.max_words,
        task_names=corpus.names,
        seed=seed,
        vectors=matrix,
        found=found,
    )


def reads_of_tasks(tasks: Sequence[TaskInfo], plan: SharingPlan) -> tuple[Reads, ...]:
    """Return what the head of each task reads."""
    return tuple(reads_of(task.kind, plan.readout, of_pairs=task.of_pairs) for task in tasks)


def restore_model(
    corpus: EncodedCorpus, config: TrialConfig, state: Mapping[str, Tensor]
) -> MultiTaskEncoder:
    """Return the encoder with the parameters of `state`, on the CPU, ready to evaluate."""
    model = build_model(corpus, config, seed=0)
    load_parameters(model, state)
    return model.eval()


def copy_parameters(model: MultiTaskEncoder) -> dict[str, Tensor]:
    """Return the parameters by name, copied to the CPU."""
    return {
        name: parameter.detach().to("cpu", copy=True)
        for name, parameter in model.named_parameters()
    }


@torch.no_grad()
def load_parameters(model: MultiTaskEncoder, state: Mapping[str, Tensor]) -> None:
    """Write the parameters of `state` into those of the model, in place."""
    for name, parameter in model.named_parameters():
        assert parameter.shape == state[name].shape, name
        parameter.copy_(state[name])
