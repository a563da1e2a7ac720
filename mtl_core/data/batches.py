"""Rows become steps, and steps become minibatches; which rows is decided by seed, epoch and names.

A step is what one update of the weights sees: one row (`alternating`) or one row of every task
(`joint`), a row being texts of one task. `sampling.py` decides how often a task's examples come in
an epoch, and `cutting.py` which of them share a row, so that little of it is padding. No task's
order depends on which other tasks there are. Shapes: K tasks, N texts of a step, T longest of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from mtl_core.data.config import BatchConfig
from mtl_core.data.cutting import (
    by_length,
    cut_by_size,
    cut_by_words,
    cut_by_words_into,
    cut_evenly,
    shuffled,
)
from mtl_core.data.encoded import EncodedCorpus, EncodedSplit
from mtl_core.data.sampling import draw_examples, examples_per_task
from mtl_core.data.targets import MISSING, WITH_CLASSES
from mtl_core.data.wide import Ngrams, WideFeatures
from mtl_core.seeding import stream


@dataclass(frozen=True)
class Row:
    """Texts of one task in a step; `examples` are their row numbers in the task's split."""

    task: int
    examples: np.ndarray


Step = tuple[Row, ...]
Streams = Callable[..., np.random.Generator]


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
        words: Word ids, 0 where a text has ended, (N, T) int64.
        lengths: Words of each text, at least 1, (N,) int64; always on the CPU, since they say how
            the texts are laid out.
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
            words=self.words.to(device, non_blocking=True),
            labels=self.labels.to(device, non_blocking=True),
            wide=None if self.wide is None else self.wide.to(device),
        )


def plan_epoch(
    lengths: Sequence[np.ndarray],
    names: Sequence[str],
    config: BatchConfig,
    *,
    seed: int,
    epoch: int,
) -> list[Step]:
    """Return the steps of an epoch over the train splits.

    Args:
        lengths: Words of every train text, one array per task.
        names: Task names; a task's order follows from its name, not from its place.
    """
    counts = examples_per_task([len(of_task) for of_task in lengths], names, config)
    streams = partial(stream, seed, "batches", epoch)
    tasks = [
        _Task(place, name, of_task, count)
        for place, (name, of_task, count) in enumerate(zip(names, lengths, counts, strict=True))
    ]
    plan = _joint if config.regime == "joint" else _alternating
    return plan(tasks, config, streams)


def evaluation_steps(lengths: Sequence[np.ndarray], *, token_budget: int = 8192) -> list[Step]:
    """Return steps that show every text once, longest first, one task a step."""
    steps: list[Step] = []
    for task, of_task in enumerate(lengths):
        order = np.argsort(-of_task, kind="stable")
        parts = np.split(order, cut_by_words(of_task[order], token_budget))
        steps += [(Row(task, part),) for part in parts if len(part)]
    return steps


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
    labels = [_targets(part, row.examples) for part, row in zip(splits, step, strict=True)]
    kinds = {corpus.tasks[row.task].kind for row in step}
    of_pairs = any(corpus.tasks[row.task].of_pairs for row in step)
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


def _targets(split: EncodedSplit, examples: np.ndarray) -> np.ndarray:
    """Return the targets of these rows, one after the other."""
    if len(split.targets) == len(split):
        return split.targets[examples]
    starts, ends = split.target_offsets[examples], split.target_offsets[examples + 1]
    return split.targets[spans(starts, ends - starts)]


@dataclass(frozen=True)
class _Task:
    """What planning knows of a task; `count` is the number of its examples in the epoch."""

    place: int
    name: str
    lengths: np.ndarray
    count: int


def _alternating(tasks: Sequence[_Task], config: BatchConfig, streams: Streams) -> list[Step]:
    """One task a step; in its r-th round every task that still has a row gives its r-th one."""
    steps: list[tuple[int, float, Row]] = []
    for task in tasks:
        rows = _rows_of_task(task, config, streams(task.name))
        places = streams(task.name, "round").random(len(rows))
        steps += [
            (turn, place, Row(task.place, examples))
            for turn, (place, examples) in enumerate(zip(places.tolist(), rows, strict=True))
        ]
    return [(row,) for _, _, row in sorted(steps, key=lambda step: step[:2])]


def _rows_of_task(task: _Task, config: BatchConfig, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the task's rows in random order, a partial one last.

    Texts are put together by length within one pass over the task, so that a text drawn again in
    the next pass does not meet itself.
    """
    drawn = draw_examples(len(task.lengths), task.count, rng)
    size = 1 if config.token_budget else config.batch_size
    window = -(-len(task.lengths) // size) * size
    rows: list[np.ndarray] = []
    for start in range(0, task.count, window):
        examples = drawn[start : start + window]
        if config.bucketing:
            examples = examples[by_length(task.lengths[examples], rng)]
        rows += _shuffled_rows(examples, task.lengths[examples], config, rng)
    return rows


def _shuffled_rows(
    examples: np.ndarray, lengths: np.ndarray, config: BatchConfig, rng: np.random.Generator
) -> list[np.ndarray]:
    last = -1
    if config.token_budget:
        cuts = cut_by_words(lengths, config.token_budget)
    else:
        cuts, last = cut_by_size(len(examples), config.batch_size, rng)
    rows = _split(examples, lengths, cuts)
    order = [int(row) for row in shuffled(len(rows), rng) if row != last]
    return [rows[row] for row in (order if last < 0 else [*order, last])]


def _joint(tasks: Sequence[_Task], config: BatchConfig, streams: Streams) -> list[Step]:
    """One row of every task a step; the rows of a step stand at the same quantile of length."""
    ordered = [_ordered(task, task.count, config, streams(task.name)) for task in tasks]
    n_steps = _joint_steps(tasks, ordered, config)
    rows: list[list[np.ndarray]] = []
    for task, examples in zip(tasks, ordered, strict=True):
        rng = streams(task.name, "cuts")
        if task.count < n_steps:
            examples = _ordered(task, n_steps, config, streams(task.name))
        lengths = task.lengths[examples]
        if config.token_budget:
            cuts = cut_by_words_into(lengths, config.token_budget, n_steps)
        else:
            cuts = cut_evenly(len(examples), n_steps, rng)
        rows.append(_split(examples, lengths, cuts))
    return [
        tuple(Row(task.place, of_task[step]) for task, of_task in zip(tasks, rows, strict=True))
        for step in shuffled(n_steps, streams())
    ]


def _ordered(task: _Task, count: int, config: BatchConfig, rng: np.random.Generator) -> np.ndarray:
    drawn = draw_examples(len(task.lengths), count, rng)
    return drawn[by_length(task.lengths[drawn], rng)] if config.bucketing else drawn


def _joint_steps(tasks: Sequence[_Task], ordered: Sequence[np.ndarray], config: BatchConfig) -> int:
    """Return the number of steps: as many as the fullest task's budget, or the batch size, asks."""
    if config.token_budget is None:
        return -(-sum(task.count for task in tasks) // (len(tasks) * config.batch_size))
    cuts = [
        cut_by_words(task.lengths[examples], config.token_budget)
        for task, examples in zip(tasks, ordered, strict=True)
    ]
    return 1 + max(len(of_task) for of_task in cuts)


def _split(examples: np.ndarray, lengths: np.ndarray, cuts: Sequence[int]) -> list[np.ndarray]:
    """Return the examples cut into rows, in each the shortest first, so that parts of a row can be
    padded less than the whole."""
    pairs = zip(np.split(examples, cuts), np.split(lengths, cuts), strict=True)
    return [row[np.argsort(of_row, kind="stable")] for row, of_row in pairs]


def spans(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return start, start + 1, ... for `length` places, one span after the other."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())
