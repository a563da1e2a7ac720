"""Texts with some words hidden, for an encoder to foretell (Devlin et al., 2019).

Of the words that are chosen 80 % are hidden, 10 % become another word, and 10 % stay. What hides a
word is the unknown word: to an encoder it means just that, a word that it is not told, and words of
dev and test that train lacks will stand as it too, so it learns to do without them.

Texts are cut into pieces that are as long as a trial's texts can be. Half of those in a batch begin
with <cls>, since plans differ in whether theirs do. Only the most frequent words are chosen, which
keeps the softmax small. Shapes: N pieces, T positions, W words that can be chosen, V words.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtl_core.data.batches import plan_epoch
from mtl_core.data.config import BatchConfig, MlmConfig
from mtl_core.data.minibatch import Minibatch, spans
from mtl_core.data.tokenizer import CLS, UNKNOWN
from mtl_core.seeding import stream

HIDDEN, REPLACED = 0.8, 0.1  # of the chosen words
_WITH_CLS = 0.5  # of the pieces
_TEXTS = "texts"


@dataclass(frozen=True)
class MaskedBatch:
    """Pieces with words hidden.

    Args:
        minibatch: The pieces, as texts of one task; without labels.
        items: Places of the chosen words among all words of the minibatch, <cls> counted.
        targets: What these were, as places in `MaskedWords.words`.
    """

    minibatch: Minibatch
    items: Tensor
    targets: Tensor


class MaskedWords:
    """The pieces of some texts.

    Args:
        words: Word ids of all texts, one after the other.
        offsets: Text i has the words offsets[i] to offsets[i + 1]; none is empty.
        max_words: Longest piece.

    Attributes:
        words: Ids of the words that can be chosen, (W,), most frequent first.
    """

    def __init__(
        self,
        words: NDArray[np.int32],
        offsets: NDArray[np.int64],
        config: MlmConfig,
        *,
        max_words: int,
    ) -> None:
        counts = np.bincount(words)
        order = np.argsort(-counts, kind="stable")[: config.words]
        self.words = order[counts[order] > 0]
        self._place = np.full(max(len(counts), CLS + 1), -1)  # (V,), -1: cannot be chosen
        self._place[self.words] = np.arange(len(self.words))
        self._all, self._config = words, config
        starts, lengths = _cut(offsets, max_words)
        useful = np.add.reduceat(self._place[words] >= 0, starts, dtype=np.int64) > 0
        self._starts, self._lengths = starts[useful], lengths[useful]

    def batches(self) -> Iterator[MaskedBatch]:
        """Yield batches without end, in the order that the seed decides."""
        seed, size = self._config.seed, BatchConfig(batch_size=self._config.batch_size)
        for epoch in count(1):
            rng = stream(seed, "mlm", "hidden", epoch)
            for (row,) in plan_epoch([self._lengths], [_TEXTS], size, seed=seed, epoch=epoch):
                yield self._hide(*self._read(row.examples, rng), rng)

    def _read(
        self, pieces: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the words of the pieces, (N, T), and how many each has, (N,)."""
        starts, lengths = self._starts[pieces], self._lengths[pieces]
        with_cls = rng.random(len(pieces)) < _WITH_CLS
        total = lengths + with_cls
        words = np.zeros((len(pieces), int(total.max())), dtype=np.int64)
        given = np.arange(words.shape[1]) < total[:, None]
        given[with_cls, 0] = False
        words[given] = self._all[spans(starts, lengths)]
        words[with_cls, 0] = CLS
        return words, total

    def _hide(
        self, words: NDArray[np.int64], lengths: NDArray[np.int64], rng: np.random.Generator
    ) -> MaskedBatch:
        possible = self._place[words] >= 0
        chosen = possible & (rng.random(words.shape) < self._config.mask_share)
        if not chosen.any():
            chosen.flat[rng.choice(np.flatnonzero(possible))] = True
        right = words[chosen]
        chance = rng.random(len(right))
        other = self.words[rng.integers(len(self.words), size=len(right))]
        words[chosen] = np.select(
            [chance < HIDDEN, chance < HIDDEN + REPLACED], [np.int64(UNKNOWN), other], right
        )
        inside = np.arange(words.shape[1]) < lengths[:, None]
        minibatch = Minibatch(
            words=torch.from_numpy(words),
            lengths=torch.from_numpy(lengths),
            labels=torch.zeros(0, dtype=torch.int64),
            tasks=(0,),
            sizes=(len(words),),
        )
        items = torch.from_numpy(np.flatnonzero(chosen[inside]))
        return MaskedBatch(minibatch, items, torch.from_numpy(self._place[right]))


def _cut(offsets: NDArray[np.int64], max_words: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each piece starts among all words, and its length."""
    lengths = np.diff(offsets)
    counts = -(-lengths // max_words)
    before = spans(np.zeros_like(counts), counts) * max_words  # words of the text before the piece
    starts = np.repeat(offsets[:-1], counts) + before
    return starts, np.minimum(np.repeat(lengths, counts) - before, max_words)
