"""Lengths, cuts, vocabularies and unknown words of each split, for the audit.

They are measured on the encoded corpus where there is one, and else on the texts, lower-cased and
split at white space, which gives the same numbers for the "word" tokenizer with every word kept.
Vocabularies are those of train, after the cut to `max_words`: what a model can have learnt.
K tasks, V words.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from mtl_core.data.config import DataConfig
from mtl_core.data.duplicates import Key
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.task import Corpus, Task, labels_in
from mtl_core.data.tokenizer import CLS, UNKNOWN


@dataclass(frozen=True, kw_only=True)
class SplitWords:
    """Words of one split.

    Args:
        lengths: Words of each text before the cut (pieces after the cut, for "bpe"), (rows,).
        n_cut: Texts that lose words by the cut (for "bpe": that reach `max_words` pieces).
        unknown_share: Share of the running words that no task's train has.
        unknown_to_task_share: Share of them that this task's own train has not.
    """

    lengths: NDArray[np.int64]
    n_cut: int
    unknown_share: float
    unknown_to_task_share: float


@dataclass(frozen=True, kw_only=True)
class Words:
    """Words of all splits, and how many different ones train has: per task and in all."""

    unit: str
    splits: dict[Key, SplitWords]
    vocabulary_of: dict[str, int]
    vocabulary: int


@dataclass(frozen=True, kw_only=True)
class WholeTexts:
    """Texts as they are in the files, before any cut; words are what white space separates.

    Args:
        vocabulary: Different words, in lower case.
        n_cut: Texts longer than `max_words`.
    """

    rows: int
    classes: dict[str, int]
    mean_words: float
    longest: int
    vocabulary: int
    n_cut: int


def measure_whole(
    corpus: Corpus, texts: dict[Key, list[str]], max_words: int
) -> dict[str, dict[str, WholeTexts]]:
    """Return the whole texts of "train" and of "train_and_dev", by task.

    The second is what a published train file holds, where dev was cut from it.
    """
    return {
        task.name: {
            "train": _whole(task, ["train"], texts, max_words),
            "train_and_dev": _whole(task, ["train", "dev"], texts, max_words),
        }
        for task in corpus.tasks
    }


def count_labels(task: Task, splits: Sequence[str]) -> Counter[str]:
    """Return how often each class, label or tag occurs; regression has none."""
    rows = [label for split in splits for label in task.splits[split].labels]
    return Counter(label for row in rows for label in labels_in(row, task.kind))


def _whole(
    task: Task, splits: Sequence[str], texts: dict[Key, list[str]], max_words: int
) -> WholeTexts:
    rows = [text.split() for split in splits for text in texts[task.name, split]]
    labels = count_labels(task, splits)
    lengths = [len(row) for row in rows]
    return WholeTexts(
        rows=len(rows),
        classes=dict(sorted(labels.items())),
        mean_words=sum(lengths) / len(rows),
        longest=max(lengths),
        vocabulary=len(set(chain.from_iterable(rows))),
        n_cut=sum(length > max_words for length in lengths),
    )


def measure_words(
    corpus: Corpus, texts: dict[Key, list[str]], config: DataConfig, encoded: EncodedCorpus | None
) -> Words:
    """Measure the words of `corpus`, given its normalised texts and, if there is one, its code."""
    if encoded is None:
        return _measure_texts(texts, config.max_words)
    return _measure_ids(corpus, texts, config, encoded)


def _measure_texts(texts: dict[Key, list[str]], max_words: int) -> Words:
    lengths: dict[Key, NDArray[np.int64]] = {}
    counts: dict[Key, Counter[str]] = {}
    for key, rows in texts.items():
        counts[key] = Counter()
        lengths[key] = np.zeros(len(rows), dtype=np.int64)
        for number, text in enumerate(rows):
            words = text.split()
            lengths[key][number] = len(words)
            counts[key].update(words[:max_words])
    train = {task: set(count) for (task, split), count in counts.items() if split == "train"}
    anywhere = set[str]().union(*train.values())
    splits = {
        key: SplitWords(
            lengths=lengths[key],
            n_cut=int((lengths[key] > max_words).sum()),
            unknown_share=_unknown(count, anywhere),
            unknown_to_task_share=_unknown(count, train[key[0]]),
        )
        for key, count in counts.items()
    }
    vocabulary_of = {task: len(words) for task, words in train.items()}
    return Words(unit="words", splits=splits, vocabulary_of=vocabulary_of, vocabulary=len(anywhere))


def _unknown(counts: Counter[str], known: set[str]) -> float:
    n_unknown = sum(count for word, count in counts.items() if word not in known)
    return n_unknown / max(1, counts.total())


def _measure_ids(
    corpus: Corpus, texts: dict[Key, list[str]], config: DataConfig, encoded: EncodedCorpus
) -> Words:
    encoded = encoded.select(corpus.names)
    known = encoded.vocabulary_of_tasks()  # (K, V)
    known[:, UNKNOWN] = False  # always "there" for the model, but no word that it has learnt
    anywhere: NDArray[np.bool_] = np.any(known, axis=0)  # (V,)
    whole_words = config.tokenizer == "word"
    splits = {}
    for place, task in enumerate(corpus.tasks):
        for split in task.splits:
            key, rows = (task.name, split), encoded.split(place, split)
            lengths = _lengths(texts[key]) if whole_words else rows.lengths
            cut = lengths > config.max_words if whole_words else lengths >= config.max_words
            splits[key] = SplitWords(
                lengths=lengths,
                n_cut=int(cut.sum()),
                unknown_share=_share(~anywhere[rows.words]),
                unknown_to_task_share=_share(~known[place][rows.words]),
            )
    n_words = known[:, CLS + 1 :].sum(axis=1).tolist()  # (K,)
    return Words(
        unit="words" if whole_words else "pieces",
        splits=splits,
        vocabulary_of=dict(zip(corpus.names, n_words, strict=True)),
        vocabulary=int(anywhere[CLS + 1 :].sum()),
    )


def _share(unknown: NDArray[np.bool_]) -> float:
    return int(unknown.sum()) / max(1, len(unknown))


def _lengths(rows: list[str]) -> NDArray[np.int64]:
    return np.fromiter((len(text.split()) for text in rows), dtype=np.int64, count=len(rows))
