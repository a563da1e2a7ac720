"""What use a trained model makes of its task tokens: attention to them, gradients, gates.

Attention is computed a second time from the queries and keys of each layer, on dev texts, without
dropout. Shapes: P positions, H heads, T positions of a text, S tokens before the words, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.data.minibatch import Minibatch
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.forward import Part, work_of
from mtl_core.model.layout import Block
from mtl_core.model.precision import products_dtype
from mtl_core.model.reads import Tokens
from mtl_core.model.segment import Segment
from mtl_core.model.sentence import sentence_vectors
from mtl_core.model.token_access import gate_scores
from mtl_core.training.evaluation import SplitBatches


@dataclass
class TokenUse:
    """Shares of attention by layer, of all dev minibatches looked at, one number each.

    Args:
        words_to_own, words_to_others: What a word gives to tokens.
        own_to_others, own_to_words: What the task's token gives; the rest goes to itself.
        gradient: Norm of the gradient of the tokens of the others over that of the own, by
            minibatch.
    """

    words_to_own: list[list[float]] = field(default_factory=list)
    words_to_others: list[list[float]] = field(default_factory=list)
    own_to_others: list[list[float]] = field(default_factory=list)
    own_to_words: list[list[float]] = field(default_factory=list)
    gradient: list[float] = field(default_factory=list)


def token_use(model: MultiTaskEncoder, dev: SplitBatches, n_batches: int = 2) -> TokenUse:
    """Look at some dev minibatches of each task."""
    use, taken = TokenUse(), dict.fromkeys(range(model.plan.n_tasks), 0)
    model.eval()
    for step in range(len(dev.steps)):
        batch = dev.take(step)
        (task,) = batch.tasks
        if taken[task] < n_batches:
            taken[task] += 1
            _look(model, batch, use)
    return use


def by_layer(shares: Sequence[Sequence[float]]) -> str:
    """Return the mean of each layer in percent, "3.1, 0.4"; of the layers with that query."""
    means = [np.mean(column) for column in zip(*shares, strict=True)]
    return ", ".join(f"{100 * mean:.1f}" for mean in means) or "–"


def gates_of(model: MultiTaskEncoder) -> str:
    """Return the mean and the largest share that gates let through, in percent."""
    if not model.plan.n_gates:
        return ""
    gates = model.get_parameter("token_gate_bias").detach()
    scores = torch.stack([gate_scores(row, task) for task, row in enumerate(gates)])
    shares = 100 * scores.exp()[~torch.eye(len(gates), dtype=torch.bool)]
    return f"{shares.mean():.1f}, at most {shares.max():.1f}"


def _look(model: MultiTaskEncoder, batch: Minibatch, use: TokenUse) -> None:
    (task,) = batch.tasks
    all_tokens = model.plan.tokens is Tokens.ALL
    own, n_tokens = (task, model.plan.n_tasks) if all_tokens else (0, 1)
    rows = [use.words_to_own, use.words_to_others, use.own_to_others, use.own_to_words]
    for row in rows:
        row.append([])
    _note_attention(model, batch, own, n_tokens, [row[-1] for row in rows])
    loss = F.cross_entropy(model(batch), batch.labels)
    model.zero_grad()
    loss.backward()
    gradient = model.get_parameter("tokens").grad
    if all_tokens and gradient is not None:
        norms = gradient.norm(dim=1)
        others = torch.cat([norms[:task], norms[task + 1 :]])
        use.gradient.append(float(others.mean() / norms[task]))


@torch.no_grad()
def _note_attention(
    model: MultiTaskEncoder,
    batch: Minibatch,
    own: int,
    n_tokens: int,
    rows: Sequence[list[float]],
) -> None:
    """Add what each layer attends to to the rows, which are those of `TokenUse`."""
    n_layers = model.plan.n_layers

    def watch(blocks: Sequence[Block], segments: Sequence[Segment], qkv: Tensor) -> None:
        del blocks
        query, key, _ = qkv.chunk(3, dim=1)
        weights = [_weights(query, key, segment, model.config.n_heads) for segment in segments]
        if len(rows[2]) < n_layers - 1:  # what words gather in the last layer is not read
            words = torch.cat([w[:, :, n_tokens:, :n_tokens].flatten(0, 2) for w in weights])
            rows[0].append(float(words[:, own].mean()))
            rows[1].append(float(words.sum(1).mean() - words[:, own].mean()))
        tokens = torch.cat([w[:, :, own, :n_tokens].flatten(0, 1) for w in weights])
        rows[2].append(float((tokens.sum(1) - tokens[:, own]).mean()))
        rows[3].append(float(1 - tokens.sum(1).mean()))

    dtype = products_dtype(model.config, torch.device("cpu"))
    sentence_vectors([work_of(Part(model=model, batch=batch))], dtype, watch)


def _weights(query: Tensor, key: Tensor, segment: Segment, n_heads: int) -> Tensor:
    """Return the attention weights of a segment, (texts, H, T, T)."""
    start, end = segment.start, segment.start + segment.texts * segment.width
    q, k = (
        of_all[start:end].view(segment.texts, segment.width, n_heads, -1).transpose(1, 2)
        for of_all in (query, key)
    )
    scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
    if segment.bias is not None:
        scores = scores + segment.bias[:, None, None]
    if segment.gates is not None:
        scores[..., : segment.gates.shape[1]] += segment.gates[:, None, None]
    if segment.hidden is not None:
        n_first = segment.hidden.shape[1]
        scores[:, :, n_first:, :n_first] += segment.hidden[:, None, None]
    return scores.softmax(-1)
