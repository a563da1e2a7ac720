"""Attention affinity: how much the tokens of the tasks attend to each other, and to the words.

In L-E the tokens of all tasks stand before the words of a text, and the text's own task reads its
own token. What that token takes from another task's token is what the published study drew. A row
of the weights adds to 1 over tokens and words, so an entry is small where the words take most.
Weights are the mean over heads and over the layers that a token passes. Only dev texts are shown,
without dropout. The parts differ in their texts alone: what is common to them is true of this
model, and another training may attend otherwise.
Shapes: N texts, S tokens, T positions, K tasks, M parts.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtl_core.affinity.rows import labelled_rows
from mtl_core.data.batches import evaluation_steps
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.minibatch import Row, Step, collate
from mtl_core.model.attention import attention_of_first
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.forward import Part, work_of
from mtl_core.model.layout import Block
from mtl_core.model.precision import products_dtype
from mtl_core.model.reads import Tokens
from mtl_core.model.segment import Segment
from mtl_core.model.sentence import sentence_vectors

PARTS = 8  # at most, into which the texts of a task are put: one can be held against the others
_TEXTS = 256  # of a task, at most


def has_all_tokens(model: MultiTaskEncoder) -> bool:
    """Whether the tokens of all tasks stand before the words, so that they can attend at all."""
    return model.plan.tokens is Tokens.ALL


@torch.no_grad()
def token_attention(
    model: MultiTaskEncoder, corpus: EncodedCorpus, device: str | torch.device = "cpu"
) -> NDArray[np.float64]:
    """Return how much task i's token attends to task j's token on dev texts of i, (M, K, K).

    Args:
        model: One that `has_all_tokens`.
    """
    n_tasks = corpus.n_tasks
    known = [
        labelled_rows(corpus.split(task, "dev"), info.kind)[:_TEXTS]
        for task, info in enumerate(corpus.tasks)
    ]
    n_parts = min(PARTS, *map(len, known))
    found = np.zeros((n_parts, n_tasks, n_tasks))
    for task, rows in enumerate(known):
        for part in range(n_parts):
            mine = Row(task, rows[part::n_parts])
            found[part, task] = _own_row(model, corpus, mine, device)
    return found


@torch.no_grad()
def text_attention(
    model: MultiTaskEncoder, corpus: EncodedCorpus, row: Row, device: str | torch.device = "cpu"
) -> list[Tensor]:
    """Return how the tokens before each dev text attend to tokens and words, (S, S + words) each.

    Args:
        row: The texts, of one task.
    """
    return list(_weights(model, corpus, (row,), device))


def _own_row(
    model: MultiTaskEncoder, corpus: EncodedCorpus, row: Row, device: str | torch.device
) -> NDArray[np.float64]:
    """Return the mean attention of the task's own token to all tokens, (K,)."""
    lengths = corpus.split(row.task, "dev").lengths[row.examples]
    total, n_tokens = torch.zeros(corpus.n_tasks, dtype=torch.float64), corpus.n_tasks
    for step in evaluation_steps([lengths]):
        rows = (Row(row.task, row.examples[step[0].examples]),)
        for weights in _weights(model, corpus, rows, device):
            total += weights[row.task, :n_tokens].double()
    return (total / max(1, len(row.examples))).numpy()


def _weights(
    model: MultiTaskEncoder, corpus: EncodedCorpus, step: Step, device: str | torch.device
) -> Sequence[Tensor]:
    """Return the attention of the tokens of each text, (S, S + its words), in the step's order."""
    batch = collate(corpus, "dev", step, None).to(device)
    lengths = batch.lengths.tolist()
    sums: list[list[Tensor]] = [[] for _ in lengths]

    def watch(blocks: Sequence[Block], segments: Sequence[Segment], qkv: Tensor) -> None:
        texts = [block.first_text + at for block in blocks for at in range(block.texts)]
        n_tokens = [block.n_tokens for block in blocks for _ in range(block.texts)]
        for segment in segments:
            count = n_tokens[segment.first_text]
            if not count:  # they have not entered yet
                continue
            of_first = attention_of_first(qkv, segment, model.config.n_heads, count)
            for at, weights in enumerate(of_first.float().mean(1).cpu()):
                text = texts[segment.first_text + at]
                sums[text].append(weights[:, : count + lengths[text]])

    part = Part(model=model, batch=batch)
    dtype = products_dtype(model.config, torch.device(device))
    sentence_vectors([work_of(part)], dtype, watch)
    return [torch.stack(of_layers).mean(0) for of_layers in sums]
