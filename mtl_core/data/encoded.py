"""The encoded corpus: one memory-mapped Arrow file that all trials and workers of a node share.

The file holds one record batch per task and split, a row per text or pair: `words`
(large_list<int32>), `second` (int32), `targets` (large_list<float>, see `targets.py`) and
`seen_in_train` (uint8, since Arrow's own booleans are bits and have no NumPy view). The schema's
metadata says what the tasks are and holds the tokenizer. The file's name is a
hash of all that went into it, so it is made once; `cache.py` says where it is kept.
"""

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tokenizers import Tokenizer

from mtl_core.data.cache import keep
from mtl_core.data.config import DataConfig
from mtl_core.data.duplicates import seen_in_train
from mtl_core.data.pretrained_tokenizer import tokenizer_hash
from mtl_core.data.targets import encode_targets, n_outputs, unread_tag, value_scale
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.data.tokenizer import CLS, build_tokenizer, is_pretrained, vocabulary_of
from mtl_core.data.word_ids import encode_rows
from mtl_core.errors import check_names

FORMAT = 4
SCHEMA = pa.schema(
    [
        ("words", pa.large_list(pa.int32())),
        ("second", pa.int32()),
        ("targets", pa.large_list(pa.float32())),
        ("seen_in_train", pa.uint8()),
    ]
)


@dataclass(frozen=True)
class TaskInfo:
    """A task without its rows; a label's place in `labels` is its class.

    Args:
        of_pairs: Whether a row is two texts.
        mean, spread: Of the train values of a regression, by which its targets are standardised.
        unread_tag: Of tagging, what a word that is not read counts as answered.
    """

    name: str
    kind: str
    metric: str
    labels: tuple[str, ...]
    of_pairs: bool = False
    mean: float = 0.0
    spread: float = 1.0
    unread_tag: str = "O"

    @property
    def n_outputs(self) -> int:
        """Numbers that its head has."""
        return n_outputs(self.kind, self.labels)


@dataclass(frozen=True)
class EncodedSplit:
    """Rows of one split, as views of the mapped file.

    Args:
        words: Word ids of all texts, one after the other, int32.
        offsets: Row i has the words offsets[i] to offsets[i + 1], (rows + 1,) int64.
        seconds: Where the second text of a row begins, its length where it has none, int32.
        targets: Numbers of all rows, one after the other, float32 (`targets.py`).
        target_offsets: Row i has the targets from the i-th to the next, (rows + 1,) int64.
        seen_in_train: Whether the text stands in the train split of any task; False in train.
    """

    words: NDArray[np.int32]
    offsets: NDArray[np.int64]
    seconds: NDArray[np.int32]
    targets: NDArray[np.float32]
    target_offsets: NDArray[np.int64]
    seen_in_train: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.seen_in_train)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of each row of a classification, -1 for none."""
        return self.targets.astype(np.int64)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)


class EncodedCorpus:
    """The tasks of a study as numbers; a pickle of it is no more than the path and the names.

    Args:
        path: A file that `encode` wrote.
        names: The tasks to see, in this order; all of the file when empty. Ids stay the file's.
    """

    def __init__(self, path: Path, names: Sequence[str] = ()) -> None:
        self.path = Path(path)
        self._file = pa.ipc.open_file(pa.memory_map(str(path)))
        self._about: dict[str, Any] = json.loads(self._file.schema.metadata[b"branchpoint"])
        infos = {task["name"]: task_info(task) for task in self._about["tasks"]}
        check_names(names, infos, where=f"{path}, tasks")
        self.names: tuple[str, ...] = tuple(names) or tuple(infos)
        self.tasks: tuple[TaskInfo, ...] = tuple(infos[name] for name in self.names)
        self.n_tasks = len(self.tasks)
        self.n_classes: tuple[int, ...] = tuple(task.n_outputs for task in self.tasks)
        self.vocabulary_size: int = self._about["vocabulary_size"]
        self.max_words: int = self._about["max_words"]
        self._splits: dict[tuple[int, str], EncodedSplit] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return EncodedCorpus, (self.path, self.names)

    @cached_property
    def tokenizer_json(self) -> str:
        return self._file.schema.metadata[b"tokenizer"].decode()

    @property
    def fingerprint(self) -> str:
        """A hash of the tasks seen, their rows and how they were encoded."""
        return _hash(self._about["fingerprint"], *self.names)

    def split(self, task: int, split: str) -> EncodedSplit:
        """Return the rows of the `task`-th task."""
        if (task, split) not in self._splits:
            place = self._about["splits"].index([self.names[task], split])
            self._splits[task, split] = _view(self._file.get_batch(place))
        return self._splits[task, split]

    def splits(self, task: int) -> tuple[str, ...]:
        """Return the splits that the `task`-th task has."""
        return tuple(split for name, split in self._about["splits"] if name == self.names[task])

    def select(self, names: Sequence[str]) -> "EncodedCorpus":
        """Return the corpus of these tasks alone, in this order."""
        return EncodedCorpus(self.path, names)

    def vocabulary(self) -> dict[str, int]:
        """Return the id of every word (of BPE: of every piece that begins a word)."""
        return vocabulary_of(self.tokenizer_json)

    def vocabulary_of_tasks(self) -> NDArray[np.bool_]:
        """Return which words each task's train split has, (K, V); the reserved ids always."""
        has = np.zeros((self.n_tasks, self.vocabulary_size), dtype=np.bool_)
        has[:, : CLS + 1] = True
        for task in range(self.n_tasks):
            has[task, self.split(task, "train").words] = True
        return has

    def is_whole(self) -> bool:
        """Whether the rows, the tasks and the tokenizer are those that were written."""
        found = self._file.schema.metadata
        if int(found[b"checksum"]) != zlib.crc32(found[b"branchpoint"] + found[b"tokenizer"]):
            return False
        splits = [_view(self._file.get_batch(at)) for at in range(self._file.num_record_batches)]
        return [_checksum(split) for split in splits] == self._about["checksums"]


def open_encoded(path: Path) -> EncodedCorpus:
    """Return the corpus of a file that `encode` wrote."""
    return EncodedCorpus(path)


def encode(corpus: Corpus, config: DataConfig, cache: Path | None = None) -> EncodedCorpus:
    """Return the encoded corpus, from the cache where it has been encoded before.

    Args:
        cache: Folder of the file; $BRANCHPOINT_CACHE or ~/.cache/branchpoint when None.
    """
    name = tokenizer_hash(config) if is_pretrained(config) else config.tokenizer
    settings = (name, config.vocabulary_size, config.min_count, config.max_words)
    fingerprint = _hash(FORMAT, corpus.content_hash(), *settings)

    def write(path: Path) -> None:
        _write(path, corpus, config, fingerprint)

    return EncodedCorpus(keep(f"{fingerprint}.arrow", write, _is_intact, cache))


def _write(path: Path, corpus: Corpus, config: DataConfig, fingerprint: str) -> None:
    train = (task.splits["train"] for task in corpus.tasks)
    texts = chain.from_iterable((*split.texts, *split.seconds) for split in train)
    tokenizer = build_tokenizer(texts, config)
    seen = seen_in_train(corpus)
    keys = [(task, split) for task in corpus.tasks for split in task.splits]
    splits = [
        _encode_split(
            tokenizer, task, task.splits[split], config.max_words, seen.get((task.name, split))
        )
        for task, split in keys
    ]
    about = {
        "fingerprint": fingerprint,
        "max_words": config.max_words,
        "vocabulary_size": 1 + max(tokenizer.get_vocab().values()),  # ids may have gaps
        "tasks": [asdict(_info(task)) for task in corpus.tasks],
        "splits": [(task.name, split) for task, split in keys],
        "checksums": [_checksum(split) for split in splits],
    }
    metadata = {"branchpoint": json.dumps(about), "tokenizer": tokenizer.to_str()}
    metadata["checksum"] = str(zlib.crc32("".join(metadata.values()).encode()))
    schema = SCHEMA.with_metadata(metadata)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as file:
        for split in splits:
            file.write_batch(_record_batch(split, schema))


def _encode_split(
    tokenizer: Tokenizer,
    task: Task,
    rows: Split,
    max_words: int,
    seen: NDArray[np.bool_] | None,
) -> EncodedSplit:
    found = encode_rows(tokenizer, rows, task.kind, max_words)
    targets = encode_targets(task, rows, found.starts)
    lengths = np.fromiter(map(len, found.ids), dtype=np.int64, count=len(rows))
    return EncodedSplit(
        words=np.fromiter(chain.from_iterable(found.ids), dtype=np.int32, count=int(lengths.sum())),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        seconds=np.array(found.seconds, dtype=np.int32),
        targets=targets.values,
        target_offsets=targets.offsets,
        seen_in_train=np.zeros(len(rows), dtype=np.bool_) if seen is None else seen,
    )


def _record_batch(split: EncodedSplit, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        pa.LargeListArray.from_arrays(pa.array(split.offsets), pa.array(split.words)),
        pa.array(split.seconds),
        pa.LargeListArray.from_arrays(pa.array(split.target_offsets), pa.array(split.targets)),
        pa.array(split.seen_in_train.view(np.uint8)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _view(batch: pa.RecordBatch) -> EncodedSplit:
    words, seconds, targets, seen = batch.columns
    return EncodedSplit(
        words=words.values.to_numpy(),
        offsets=words.offsets.to_numpy(),
        seconds=seconds.to_numpy(),
        targets=targets.values.to_numpy(),
        target_offsets=targets.offsets.to_numpy(),
        seen_in_train=seen.to_numpy().view(np.bool_),
    )


def _is_intact(path: Path) -> bool:
    try:
        return EncodedCorpus(path).is_whole()
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
        return False  # cut short, overwritten, or no such file: it is written anew


def _checksum(split: EncodedSplit) -> int:
    checksum = 0
    parts = (split.words, split.offsets, split.seconds, split.targets, split.target_offsets)
    for part in (*parts, split.seen_in_train):
        checksum = zlib.crc32(part.tobytes(), checksum)
    return checksum


def task_info(task: dict[str, Any]) -> TaskInfo:
    """Return the task of `dataclasses.asdict`, or of its JSON."""
    labels = tuple(task["labels"])
    unread = "O" if "O" in labels or not labels else labels[0]  # of a model written before it was
    return TaskInfo(**{"unread_tag": unread, **task, "labels": labels})


def _info(task: Task) -> TaskInfo:
    mean, spread = value_scale(task)
    return TaskInfo(
        task.name,
        task.kind,
        task.metric,
        task.labels,
        task.of_pairs,
        mean=mean,
        spread=spread,
        unread_tag=unread_tag(task),
    )


def _hash(*parts: object) -> str:
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:32]
