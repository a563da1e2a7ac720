"""The n-grams of one text at a time, counted in dictionaries: the truth for `data/wide.py`.

What decides where a weight stands (the hash of an n-gram, the row of its bucket) is the library's
own; which n-grams a text has, and their TF-IDF, is not.
"""

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.wide import ngrams_of_texts, wide_features
from mtl_core.model.encoder import MultiTaskEncoder

Ngram = tuple[int, ...]
RESERVED = (0, 1, 2)  # padding, unknown, <cls>


class ReferenceNgrams:
    """The n-grams of a corpus, and where a model has their weights."""

    def __init__(self, corpus: EncodedCorpus, model: MultiTaskEncoder) -> None:
        assert model.wide_layout is not None
        self.longest, self.layout = model.config.wide_ngrams, model.wide_layout
        self.keys = wide_features(corpus, self.longest).ngrams.keys.tolist()
        texts = [text for task in range(corpus.n_tasks) for text in _train_texts(corpus, task)]
        self.n_texts = len(texts)
        self.n_texts_with = Counter(n for text in texts for n in set(self.ngrams(text)))

    def of_text(self, words: list[int], task: int) -> Iterator[tuple[int, float]]:
        """Yield the row and the value of each n-gram in each bank that has it."""
        for ngram, value in self.values(words).items():
            key = self._key(ngram)
            for bank in self.layout.banks[task]:
                row = int(self.layout.row_of[bank, self.keys.index(key)])
                if row < self.layout.n_rows - 1:
                    yield row, -value if key >> 63 else value

    def values(self, words: list[int]) -> dict[Ngram, float]:
        """Return the TF-IDF of each n-gram of a text, without its sign."""
        counts = Counter(n for n in self.ngrams(words) if self.n_texts_with[n] >= 2)
        values = {n: (1 + math.log(count)) * self._idf(n) for n, count in counts.items()}
        norm = math.sqrt(sum(value**2 for value in values.values()))
        return {n: value / norm for n, value in values.items()}

    def ngrams(self, words: list[int]) -> list[Ngram]:
        found = [
            tuple(words[start : start + n])
            for n in range(1, self.longest + 1)
            for start in range(len(words) - n + 1)
        ]
        return [ngram for ngram in found if not set(ngram) & set(RESERVED)]

    def _idf(self, ngram: Ngram) -> float:
        return 1 + math.log((1 + self.n_texts) / (1 + self.n_texts_with[ngram]))

    def _key(self, ngram: Ngram) -> int:
        words, offsets = np.array(ngram, np.int32), np.array([0, len(ngram)])
        return int(
            ngrams_of_texts(words, offsets, len(ngram), special=())[1][-1]
        )  # the longest comes last


def _train_texts(corpus: EncodedCorpus, task: int) -> Iterator[list[int]]:
    part = corpus.split(task, "train")
    for start, stop in zip(part.offsets[:-1], part.offsets[1:], strict=True):
        yield part.words[start:stop].tolist()
