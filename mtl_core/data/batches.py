"""Rows become steps; which rows is decided by seed, epoch and names.

A step is what one update of the weights sees (`minibatch.py`): one row (`alternating`) or one of
every task (`joint`), a row being texts of one task. `sampling.py` decides how often the examples of
a task come in an epoch, `cutting.py` which of them share a row, so that little of it is padding.
No task's order depends on which other tasks there are. Shapes: K tasks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from mtl_core.data.config import BatchConfig
from mtl_core.data.cutting import (
    by_length,
    cut_by_size,
    cut_by_words,
    cut_by_words_into,
    cut_evenly,
    shuffled,
)
from mtl_core.data.minibatch import Row, Step
from mtl_core.data.sampling import draw_examples, examples_per_task
from mtl_core.seeding import stream

Streams = Callable[..., np.random.Generator]


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
