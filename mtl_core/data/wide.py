"""What a linear model sees of a text: TF-IDF of its word n-grams, once for a whole corpus.

An n-gram is known by a hash of its word ids, 64 bits of it, so that nothing has to be spelt out
(Weinberger et al., 2009); one bit of it is the sign of its values, so that n-grams that later fall
into one bucket cancel on average. Only n-grams that occur in two or more train texts of the study's
tasks count, and their idf is from train alone. Values are (1 + ln tf) idf, and those of a text have
length 1. The features lie beside the encoded corpus as a memory-mapped file.
Shapes: U n-grams, K tasks, n texts of a split, M n-grams of all its texts.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from mtl_core.data.arrays import Arrays, keep_arrays
from mtl_core.data.class_ratio import Occurrences, class_factors
from mtl_core.data.encoded import EncodedCorpus, EncodedSplit, TaskInfo
from mtl_core.data.task import SPLITS
from mtl_core.data.tokenizer import special_ids

FORMAT = 3
LEAST_TEXTS = 2  # of train, in which an n-gram must occur
_MIXERS = (
    (30, 0xBF58476D1CE4E5B9),
    (27, 0x94D049BB133111EB),
)  # of splitmix64 (Steele et al., 2014)
_STEP = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class WideSplit:
    """The n-grams of the texts of a split.

    Args:
        ngrams: Number of each n-gram, text after text, (M,) int32.
        values: Its TF-IDF with its sign, (M,) float32.
        offsets: Text i has the n-grams offsets[i] to offsets[i + 1], (n + 1,) int64.
    """

    ngrams: NDArray[np.int32]
    values: NDArray[np.float32]
    offsets: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ngrams:
    """The n-grams that count.

    Args:
        longest: Words of the longest n-grams.
        keys: Hash of each, rising, (U,) uint64.
        idf: (U,) float32.
        in_train: Whether an n-gram occurs in train of a task, (K, U).
        factors: How much each tells of the classes (`class_ratio.py`), (U,) float32.
    """

    longest: int
    keys: NDArray[np.uint64]
    idf: NDArray[np.float32]
    in_train: NDArray[np.bool_]
    factors: NDArray[np.float32]

    @staticmethod
    def of_arrays(longest: int, arrays: Arrays) -> "Ngrams":
        """Return the n-grams of `as_arrays`."""
        keys, in_train = arrays["keys"].view(np.uint64), arrays["in_train"].view(np.bool_)
        return Ngrams(longest, keys, arrays["idf"], in_train, arrays["factors"])

    def as_arrays(self) -> Arrays:
        """Return them in types that any file takes."""
        keys, in_train = self.keys.view(np.int64), self.in_train.view(np.uint8)
        return {"keys": keys, "idf": self.idf, "in_train": in_train, "factors": self.factors}

    def read(self, words: NDArray[np.int32], offsets: NDArray[np.int64]) -> WideSplit:
        """Return the n-grams of texts.

        Args:
            words: Ids of all texts, one after the other.
            offsets: Text i has the words offsets[i] to offsets[i + 1].
        """
        n_texts = len(offsets) - 1
        if not len(self.keys):
            return WideSplit(np.zeros(0, np.int32), np.zeros(0, np.float32), 0 * offsets)
        texts, keys = ngrams_of_texts(words, offsets, self.longest, special=())  # never known
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        known = self.keys[at] == keys
        pairs, counts = np.unique(texts[known] * len(self.keys) + at[known], return_counts=True)
        texts, at = np.divmod(pairs, len(self.keys))
        values = (1 + np.log(counts)) * self.idf[at]
        norms = np.sqrt(np.bincount(texts, values**2, minlength=n_texts))
        values *= np.where(self.keys[at] >> np.uint64(63), -1, 1) / norms[texts]
        starts = np.searchsorted(texts, np.arange(n_texts + 1))
        return WideSplit(at.astype(np.int32), values.astype(np.float32), starts)


class WideFeatures:
    """The n-grams of a corpus, and those of each of its texts, as views of the mapped file."""

    def __init__(self, longest: int, arrays: Arrays) -> None:
        self.ngrams = Ngrams.of_arrays(longest, arrays)
        self._splits: Mapping[tuple[int, str], WideSplit] = {
            (task, split): WideSplit(*(arrays[name] for name in _names(task, split)))
            for task in range(len(self.ngrams.in_train))
            for split in SPLITS
            if _names(task, split)[0] in arrays
        }

    def split(self, task: int, split: str) -> WideSplit:
        """Return the n-grams of the texts of the `task`-th task, rows as in the corpus."""
        return self._splits[task, split]


def wide_features(corpus: EncodedCorpus, longest: int) -> WideFeatures:
    """Return the n-grams of up to `longest` words of the corpus, from the cache if they are there.

    One process holds those of a corpus once, whoever asks.
    """
    return _features(corpus.path, corpus.names, longest)


@lru_cache(maxsize=8)
def _features(path: Path, names: tuple[str, ...], longest: int) -> WideFeatures:
    corpus = EncodedCorpus(path, names)
    name = f"{corpus.fingerprint}.wide{longest}-{FORMAT}.arrow"
    return WideFeatures(longest, keep_arrays(name, lambda: _make(corpus, longest), path.parent))


def ngrams_of_texts(
    words: NDArray[np.int32],
    offsets: NDArray[np.int64],
    longest: int,
    *,
    special: Collection[int],
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return the text and the hash of every n-gram of 1 to `longest` words, none of them special.

    Args:
        words: Ids of all texts, one after the other.
        offsets: Text i has the words offsets[i] to offsets[i + 1].
        special: Ids that stand for no word (`tokenizer.special_ids`).
    """
    text = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    words = words[offsets[0] : offsets[-1]]
    is_word = ~np.isin(words, list(special))
    key, whole = np.zeros(len(words), np.uint64), np.ones(len(words), np.bool_)
    texts, keys = [], []
    for n in range(1, longest + 1):
        last = np.arange(n - 1, len(words))  # of the n-gram that begins n - 1 words before
        key = _mixed(key[: len(last)] + _STEP + words[last].astype(np.uint64))
        whole = whole[: len(last)] & is_word[last] & (text[last] == text[: len(last)])
        texts.append(text[: len(last)][whole])
        keys.append(key[whole])
    return np.concatenate(texts), np.concatenate(keys)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    for shift, factor in _MIXERS:
        values = (values ^ (values >> np.uint64(shift))) * np.uint64(factor)
    return values ^ (values >> np.uint64(31))


def _make(corpus: EncodedCorpus, longest: int) -> Arrays:
    train = [corpus.split(task, "train") for task in range(corpus.n_tasks)]
    special = special_ids(Tokenizer.from_str(corpus.tokenizer_json))
    ngrams = _count(train, longest, special)
    arrays: dict[str, NDArray[np.generic]] = {}
    occurrences = []
    for task, split in ((k, split) for k in range(corpus.n_tasks) for split in corpus.splits(k)):
        rows = corpus.split(task, split)
        found = ngrams.read(rows.words, rows.offsets)
        arrays |= zip(_names(task, split), (found.ngrams, found.values, found.offsets), strict=True)
        if split == "train":
            occurrences.append(_occurrences(corpus.tasks[task], rows, found))
    factors = class_factors(occurrences, len(ngrams.keys))
    return {**replace(ngrams, factors=factors).as_arrays(), **arrays}


def _occurrences(task: TaskInfo, rows: EncodedSplit, found: WideSplit) -> Occurrences:
    has_classes = task.kind == "classification"
    return Occurrences(
        label_set=task.labels if has_classes else None,
        classes=rows.labels if has_classes else np.zeros(0, np.int64),
        ngrams=found.ngrams,
        offsets=found.offsets,
    )


def _count(train: Sequence[EncodedSplit], longest: int, special: Collection[int]) -> Ngrams:
    """Return the n-grams of 2 or more train texts; idf is 1 + ln((1 + n) / (1 + texts with it))."""
    of_tasks = [_texts_with(part, longest, special) for part in train]
    keys, inverse = np.unique(np.concatenate([keys for keys, _ in of_tasks]), return_inverse=True)
    counts = np.bincount(inverse, np.concatenate([n for _, n in of_tasks]), minlength=len(keys))
    counts = counts.astype(np.int64)
    keys, counts = keys[counts >= LEAST_TEXTS], counts[counts >= LEAST_TEXTS]
    idf = 1 + np.log((1 + sum(map(len, train))) / (1 + counts))
    in_train = np.stack([np.isin(keys, of_task, assume_unique=True) for of_task, _ in of_tasks])
    return Ngrams(longest, keys, idf.astype(np.float32), in_train, np.ones(len(keys), np.float32))


def _texts_with(
    part: EncodedSplit, longest: int, special: Collection[int]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the different n-grams of a split, rising, and in how many texts each occurs."""
    texts, keys = ngrams_of_texts(part.words, part.offsets, longest, special=special)
    different, number = np.unique(keys, return_inverse=True)
    pairs = np.unique(number * len(part) + texts)
    return different, np.bincount(pairs // len(part), minlength=len(different))


def _names(task: int, split: str) -> tuple[str, str, str]:
    return (f"{task}/{split}/ngrams", f"{task}/{split}/values", f"{task}/{split}/offsets")
