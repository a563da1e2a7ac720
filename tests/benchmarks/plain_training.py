"""A plain training of the published model, as its code does it: what ours is measured against.

A batch is 50 random texts padded to the longest, attention weights are made in full and dropped by
`F.dropout`, and dense Adam goes over all word vectors in every step; everything in float32.
Shapes: N texts, T positions, H heads, D width.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.minibatch import Row, Step, collate
from mtl_core.model.config import EncoderConfig
from mtl_core.training.config import TrialConfig


class PlainLayer(nn.Module):
    """A pre-norm layer with its attention weights made in full."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width = config.d_model
        self.n_heads = config.n_heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, config.d_ff), nn.Linear(config.d_ff, width)
        self.dropout = nn.Dropout(config.dropout)
        self.attention_dropout = nn.Dropout(config.dropout_attention)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        normed = self.norm1(x)
        query, key, value = (
            part(normed).view(*x.shape[:2], self.n_heads, -1).transpose(1, 2)  # (N, H, T, D / H)
            for part in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5  # (N, H, T, T)
        weights = F.softmax(scores.masked_fill(~mask, -1e9), dim=-1)
        mixed = self.attention_dropout(weights) @ value
        x = x + self.dropout(self.out(mixed.transpose(1, 2).reshape(x.shape)))
        return x + self.dropout(self.down(self.dropout(F.relu(self.up(self.norm2(x))))))


class PlainModel(nn.Module):
    """S-P (mean of the words) or L-I (the task's token before the words)."""

    def __init__(self, corpus: EncodedCorpus, config: EncoderConfig, structure: str) -> None:
        super().__init__()
        width = config.d_model
        self.with_token = structure == "layerwise_implicit"
        self.words = nn.Embedding(corpus.vocabulary_size, config.d_word)
        self.positions = nn.Embedding(corpus.max_words, config.d_word)
        self.projection = nn.Linear(config.d_word, width)
        self.tokens = nn.Embedding(corpus.n_tasks, width)
        self.layers = nn.ModuleList(PlainLayer(config) for _ in range(config.n_layers))
        self.norm = nn.LayerNorm(width)
        self.heads = nn.ModuleList(nn.Linear(width, n) for n in corpus.n_classes)
        self.dropout = nn.Dropout(config.dropout_embedding)
        self.head_dropout = nn.Dropout(config.dropout_head)

    def forward(self, words: Tensor, task: int) -> Tensor:
        mask = words != 0  # (N, T)
        x = self.words(words) + self.positions(torch.arange(words.shape[1]))
        x = self.projection(x)
        if self.with_token:
            token = self.tokens(torch.full((len(words), 1), task))
            x = torch.cat([token, x], dim=1)
            mask = F.pad(mask, (1, 0), value=True)
        x = self.dropout(x)
        for layer in self.layers:
            x = layer(x, mask[:, None, None])
        x = self.norm(x)
        read = x[:, 0] if self.with_token else (x * mask[..., None]).sum(1) / mask.sum(1)[:, None]
        return self.heads[task](self.head_dropout(read))


class PlainTraining:
    """One task a step, random batches, dense Adam with two learning rates, clipping."""

    def __init__(self, corpus: EncodedCorpus, config: TrialConfig) -> None:
        self.corpus, self.training = corpus, config.training
        self.model = PlainModel(corpus, config.encoder, config.sharing.structure).train()
        words = list(self.model.words.parameters())
        others = [p for name, p in self.model.named_parameters() if not name.startswith("words")]
        rate = config.training.learning_rate
        self.optimizer = torch.optim.Adam(
            [{"params": others, "lr": rate}, {"params": words, "lr": rate / 10}]
        )

    def take(self, step: Step) -> None:
        batch = collate(self.corpus, "train", step)
        loss = F.cross_entropy(self.model(batch.words, step[0].task), batch.labels)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.training.clip_norm or 1.0)
        self.optimizer.step()


def random_steps(corpus: EncodedCorpus, batch_size: int) -> Iterator[Step]:
    """Yield batches of random texts, of one task after the other."""
    rng = np.random.default_rng(0)
    while True:
        for task in range(corpus.n_tasks):
            rows = rng.permutation(len(corpus.split(task, "train")))[:batch_size]
            yield (Row(task, rows),)
