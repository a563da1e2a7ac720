"""The encoded corpus: one memory-mapped Arrow file that all trials and workers of a node share.

The file holds one record batch per task and split, a row per text or pair: `words`
(large_list<int32>), `second` (int32), `targets` (large_list<float>, see `targets.py`) and
`seen_in_train` (uint8, since Arrow's own booleans are bits and have no NumPy view). The schema's
metadata says what the tasks are and holds the tokenizer. `encode.py` makes it.
Shapes: K tasks, V words of the vocabulary.
"""

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mtl_core.data.targets import n_outputs
from mtl_core.data.tokenizer import CLS, vocabulary_of
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

    def checksum(self) -> int:
        """Return a checksum of all that the rows are."""
        checksum = 0
        parts = (self.words, self.offsets, self.seconds, self.targets, self.target_offsets)
        for part in (*parts, self.seen_in_train):
            checksum = zlib.crc32(part.tobytes(), checksum)
        return checksum

    def record_batch(self, schema: pa.Schema) -> pa.RecordBatch:
        """Return the rows as they are written."""
        columns = [
            pa.LargeListArray.from_arrays(pa.array(self.offsets), pa.array(self.words)),
            pa.array(self.seconds),
            pa.LargeListArray.from_arrays(pa.array(self.target_offsets), pa.array(self.targets)),
            pa.array(self.seen_in_train.view(np.uint8)),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    @classmethod
    def view(cls, batch: pa.RecordBatch) -> "EncodedSplit":
        """Return the rows that were written, without copying them."""
        words, seconds, targets, seen = batch.columns
        return cls(
            words=words.values.to_numpy(),
            offsets=words.offsets.to_numpy(),
            seconds=seconds.to_numpy(),
            targets=targets.values.to_numpy(),
            target_offsets=targets.offsets.to_numpy(),
            seen_in_train=seen.to_numpy().view(np.bool_),
        )


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
        return hash_of(self._about["fingerprint"], *self.names)

    def split(self, task: int, split: str) -> EncodedSplit:
        """Return the rows of the `task`-th task."""
        if (task, split) not in self._splits:
            place = self._about["splits"].index([self.names[task], split])
            self._splits[task, split] = EncodedSplit.view(self._file.get_batch(place))
        return self._splits[task, split]

    def lengths(self, split: str) -> list[NDArray[np.int64]]:
        """Return the words of every text of a split, one array per task."""
        return [self.split(task, split).lengths for task in range(self.n_tasks)]

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
        batches = map(self._file.get_batch, range(self._file.num_record_batches))
        checksums = [EncodedSplit.view(batch).checksum() for batch in batches]
        return checksums == self._about["checksums"]


def open_encoded(path: Path) -> EncodedCorpus:
    """Return the corpus of a file that `encode` wrote."""
    return EncodedCorpus(path)


def task_info(task: dict[str, Any]) -> TaskInfo:
    """Return the task of `dataclasses.asdict`, or of its JSON."""
    labels = tuple(task["labels"])
    unread = "O" if "O" in labels or not labels else labels[0]  # of a model written before it was
    return TaskInfo(**{"unread_tag": unread, **task, "labels": labels})


def hash_of(*parts: object) -> str:
    """Return a hash of these parts as texts."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:32]
