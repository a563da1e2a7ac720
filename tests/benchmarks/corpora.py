"""The corpora that the measurements train on: FDU-MTL, made ones of any size, and samples of both.

A sample stands for a corpus whose epoch is too long to measure: it has the whole vocabulary, a few
batches of train rows that are alike in length, as batches of the whole corpus are, and some of the
dev rows. What an epoch of the whole corpus takes follows by the words of both.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtl_core.data.config import CorpusConfig, DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus, EncodedSplit
from mtl_core.data.readers import read_corpus
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.seeding import stream

DATA = Path(
    os.environ.get("BRANCHPOINT_TEST_DATA", Path(__file__).resolve().parents[3] / "shared/data")
)
FDU_MTL = DATA / "fdu-mtl"
N_WORDS = 2000  # different words of a made corpus


class Sample(EncodedCorpus):
    """Some batches of the train rows of each task, and every n-th dev row, with all words.

    Args:
        blocks: Blocks of train rows of each task; they stand at quantiles of the length that
            together cover all lengths.
        rows: Train rows of a block.
        every: Takes every so-many-th dev row.
    """

    def __init__(self, whole: EncodedCorpus, *, blocks: int, rows: int, every: int) -> None:
        super().__init__(whole.path, whole.names)
        self.whole, self.blocks, self.rows, self.every = whole, blocks, rows, every
        self._parts: dict[tuple[int, str], EncodedSplit] = {}

    def __reduce__(self) -> tuple[object, ...]:
        return _sample, (self.whole, self.blocks, self.rows, self.every)

    def split(self, task: int, split: str) -> EncodedSplit:
        if (task, split) not in self._parts:
            whole = self.whole.split(task, split)
            chosen = np.arange(0, len(whole), self.every)
            if split == "train":
                chosen = self._blocks(task, whole.lengths)
            self._parts[task, split] = take(whole, chosen)
        return self._parts[task, split]

    def vocabulary_of_tasks(self) -> NDArray[np.bool_]:
        return self.whole.vocabulary_of_tasks()

    def words(self, split: str) -> int:
        """Return the words of all tasks."""
        return count_words(self, split)

    def _blocks(self, task: int, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows of blocks that are spread over the rows in order of length."""
        order = np.argsort(lengths, kind="stable")
        last = max(len(order) - self.rows, 0)
        n_blocks = self.n_tasks * self.blocks
        # Tasks take turns, so that short and long blocks are of all tasks.
        places = (task + np.arange(self.blocks) * self.n_tasks) / max(n_blocks - 1, 1)
        starts = np.round(places * last).astype(np.int64)
        return np.unique(np.concatenate([order[s : s + self.rows] for s in starts]))


def _sample(whole: EncodedCorpus, blocks: int, rows: int, every: int) -> Sample:
    return Sample(whole, blocks=blocks, rows=rows, every=every)


def take(split: EncodedSplit, rows: NDArray[np.int64]) -> EncodedSplit:
    """Return these rows of a split."""
    texts = [split.words[split.offsets[row] : split.offsets[row + 1]] for row in rows]
    return EncodedSplit(
        words=np.concatenate(texts),
        offsets=np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype(np.int64),
        seconds=split.seconds[rows],
        targets=split.targets[rows],
        target_offsets=np.arange(len(rows) + 1),
        seen_in_train=split.seen_in_train[rows],
    )


def count_words(corpus: EncodedCorpus, split: str) -> int:
    """Return the words of all tasks' texts."""
    return sum(int(corpus.split(task, split).lengths.sum()) for task in range(corpus.n_tasks))


def fdu_mtl(cache: Path | None = None) -> EncodedCorpus:
    """The 16 tasks of FDU-MTL, with the vocabulary of all train words."""
    config = DataConfig(source=str(FDU_MTL))
    return encode(read_corpus(config), config, cache)


def builtin(cache: Path | None = None, **sizes: int) -> EncodedCorpus:
    """The built-in corpus; `sizes` are those of `CorpusConfig`."""
    config = DataConfig(builtin=CorpusConfig(**sizes))
    return encode(read_corpus(config), config, cache)


def random_texts(
    lengths: Sequence[int], *, n_tasks: int = 4, dev_rows: int = 15, cache: Path | None = None
) -> EncodedCorpus:
    """Tasks whose train texts have so many random words; for measurements of cost alone.

    Args:
        lengths: Words of each train row, the same in all tasks; dev rows have those of the first.
    """
    rows = {"train": list(lengths), "dev": list(lengths)[:dev_rows], "test": [lengths[0]] * 2}
    tasks = []
    for task in range(n_tasks):
        splits = {name: _random_split(name, task, of_split) for name, of_split in rows.items()}
        tasks.append(Task(name=f"task{task}", labels=("neg", "pos"), splits=splits))
    corpus = Corpus(tasks=tuple(tasks), layout="builtin", source="builtin")
    return encode(corpus, DataConfig(max_words=max(lengths)), cache)


def _random_split(name: str, task: int, lengths: Sequence[int]) -> Split:
    rng = stream(0, "texts", name, task)
    texts = tuple(
        " ".join(f"w{word}" for word in rng.integers(0, N_WORDS, length)) for length in lengths
    )
    labels = tuple(("neg", "pos")[row % 2] for row in range(len(texts)))
    return Split(texts=texts, labels=labels, source=f"random/{task}/{name}")
