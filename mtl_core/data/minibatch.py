"""A step's texts as tensors: the minibatch.

A step is what one update of the weights sees: rows of texts, each of one task (`batches.py` plans
them). Shapes: K tasks, N texts of a step, T longest of them, M targets or n-grams of all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from mtl_core.data.encoded import EncodedCorpus, EncodedSplit
from mtl_core.data.targets import MISSING, WITH_CLASSES, is_read
from mtl_core.data.wide import Ngrams, WideFeatures


@dataclass(frozen=True)
class Row:
    """Texts of one task in a step; `examples` are their row numbers in the task's split."""

    task: int
    examples: np.ndarray


Step = tuple[Row, ...]


@dataclass(frozen=True)
class WideTexts:
    """The n-grams of a minibatch's texts (`wide.py`), text after text.

    Args:
        ngrams: Numbers of the n-grams, (M,) int64.
        values: (M,) float32.
        starts: First n-gram of each text, (N,) int64.
        sizes: Number of n-grams of each row; they sum to M.
    """

    ngrams: Tensor
    values: Tensor
    starts: Tensor
    sizes: tuple[int, ...]

    def to(self, device: str | torch.device) -> "WideTexts":
        return WideTexts(
            ngrams=self.ngrams.to(device, non_blocking=True),
            values=self.values.to(device, non_blocking=True),
            starts=self.starts.to(device, non_blocking=True),
            sizes=self.sizes,
        )


@dataclass(frozen=True)
class Minibatch:
    """The texts of a step as tensors; those of one row stand together, rows in the step's order.

    Args:
        words: Word ids, 0 where a text has ended, (N, T) int64; always on the CPU, where it is
            decided which rows of which table they are.
        lengths: Words of each text, at least 1, (N,) int64; on the CPU too, since they say how the
            texts are laid out.
        labels: Targets of the texts, those of a text together (`targets.py`), (M,): classes as
            int64, where M is N; float32 where a task of the step has others.
        tasks: Task of each row.
        sizes: Number of texts of each row; they sum to N.
        n_labels: Number of targets of each row, which sum to M; empty where it is `sizes`.
        seconds: Where the second text of each pair begins, (N,) int32 on the CPU; None where no
            task of the step has pairs.
        all_labelled: Whether each text, or word, is known to have its label.
        wide: The texts' n-grams, where a model looks at them.
    """

    words: Tensor
    lengths: Tensor
    labels: Tensor
    tasks: tuple[int, ...]
    sizes: tuple[int, ...]
    n_labels: tuple[int, ...] = ()
    seconds: np.ndarray | None = None
    all_labelled: bool = True
    wide: WideTexts | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of words and n-grams."""
        return self.words.nbytes + (0 if self.wide is None else 3 * self.wide.values.nbytes)

    def to(self, device: str | torch.device) -> "Minibatch":
        return replace(
            self,
            labels=self.labels.to(device, non_blocking=True),
            wide=None if self.wide is None else self.wide.to(device),
        )


def collate(
    corpus: EncodedCorpus, split: str, step: Step, wide: WideFeatures | None = None
) -> Minibatch:
    """Return the texts of a step, padded with 0 to the longest of them, with their n-grams."""
    splits = [corpus.split(row.task, split) for row in step]
    starts = [part.offsets[row.examples] for part, row in zip(splits, step, strict=True)]
    lengths = [part.lengths[row.examples] for part, row in zip(splits, step, strict=True)]
    flat = [
        part.words[spans(start, length)]
        for part, start, length in zip(splits, starts, lengths, strict=True)
    ]
    tasks = [corpus.tasks[row.task] for row in step]
    labels = [
        _targets(part, row.examples, task.kind)
        for part, row, task in zip(splits, step, tasks, strict=True)
    ]
    kinds, of_pairs = {task.kind for task in tasks}, any(task.of_pairs for task in tasks)
    seconds = [part.seconds[row.examples] for part, row in zip(splits, step, strict=True)]
    all_lengths = np.concatenate(lengths)  # (N,)
    words = np.zeros((len(all_lengths), int(all_lengths.max())), dtype=np.int64)  # (N, T)
    words[np.arange(words.shape[1]) < all_lengths[:, None]] = np.concatenate(flat)
    return Minibatch(
        words=torch.from_numpy(words),
        lengths=torch.from_numpy(all_lengths),
        labels=torch.from_numpy(
            np.concatenate(labels).astype(np.int64 if kinds <= WITH_CLASSES else np.float32)
        ),
        tasks=tuple(row.task for row in step),
        sizes=tuple(len(row.examples) for row in step),
        n_labels=() if kinds <= {"classification"} else tuple(map(len, labels)),
        seconds=np.concatenate(seconds) if of_pairs else None,
        all_labelled=bool(min(part.min() for part in labels) > MISSING),
        wide=None if wide is None else _collate_wide(wide, split, step),
    )


def _collate_wide(wide: WideFeatures, split: str, step: Step) -> WideTexts:
    ngrams, values, counts = [], [], []
    for row in step:
        part = wide.split(row.task, split)
        starts = part.offsets[row.examples]
        counts.append(part.offsets[row.examples + 1] - starts)
        places = spans(starts, counts[-1])
        ngrams.append(part.ngrams[places])
        values.append(part.values[places])
    return wide_texts(np.concatenate(ngrams), np.concatenate(values), counts)


def wide_texts(ngrams: np.ndarray, values: np.ndarray, counts: Sequence[np.ndarray]) -> WideTexts:
    """Return the n-grams of texts, which are so many for each text of each row."""
    ends = np.cumsum(np.concatenate(counts))
    return WideTexts(
        ngrams=torch.from_numpy(ngrams.astype(np.int64)),
        values=torch.from_numpy(values),
        starts=torch.from_numpy(ends - np.concatenate(counts)),
        sizes=tuple(int(of_row.sum()) for of_row in counts),
    )


def read_wide(ngrams: Ngrams, ids: Sequence[Sequence[int]]) -> WideTexts:
    """Return the n-grams of new texts of one task, given by their word ids."""
    words = np.fromiter(chain.from_iterable(ids), dtype=np.int32)
    found = ngrams.read(words, np.cumsum([0, *map(len, ids)], dtype=np.int64))
    return wide_texts(found.ngrams, found.values, [np.diff(found.offsets)])


def _targets(split: EncodedSplit, examples: np.ndarray, kind: str) -> np.ndarray:
    """Return the targets of these rows, one after the other; of tagging, those of their pieces."""
    if len(split.targets) == len(split):
        return split.targets[examples]
    starts, ends = split.target_offsets[examples], split.target_offsets[examples + 1]
    targets = split.targets[spans(starts, ends - starts)]
    return targets[is_read(targets)] if kind == "tagging" else targets


def spans(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return start, start + 1, ... for `length` places, one span after the other."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())
