"""The wide part: a linear model on the n-grams of a text, summed into the logits of its task.

Wide and deep (Cheng et al., 2016): the deep part reads a sentence, the wide part knows what single
n-grams tell. Tasks with the same label set may share one weight per n-gram, or have one each, or
both, which is domain adaptation made easy (Daume, 2007). The weights of all banks stand in one
table, a row per bucket that a bank's train texts fill; they start at zero, and a step moves those
of its own texts alone. A task without a label set (as of tags, one per word) has no wide part.
Shapes: N texts, I items of them, M n-grams, U n-grams in all, K tasks, G banks, S of a task, C
classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.data.minibatch import Minibatch
from mtl_core.data.wide import Ngrams
from mtl_core.model.dropout import Noise
from mtl_core.model.reads import Reads

LabelSets = Sequence[tuple[str, ...] | None]


@dataclass(frozen=True, eq=False)
class WideLayout:
    """Where the weights of the n-grams stand.

    Args:
        row_of: Row of each n-gram in each bank, the last row where a bank has none, (G, U) int32.
        banks: Banks of each task, (K, S).
        classes: Classes of each bank, (G,).
        rows_of_banks: Rows of each bank, (G,); they stand bank after bank, and then a row of 0.
        factors: What the values of each n-gram are multiplied by, (U,) float32.
    """

    row_of: Tensor
    banks: tuple[tuple[int, ...], ...]
    classes: tuple[int, ...]
    rows_of_banks: tuple[int, ...]
    factors: Tensor

    @property
    def n_rows(self) -> int:
        return sum(self.rows_of_banks) + 1

    @property
    def n_parameters(self) -> int:
        """Weights without those of padded classes."""
        return sum(n * c for n, c in zip(self.rows_of_banks, self.classes, strict=True))


@dataclass(frozen=True)
class WideLookup:
    """The rows of the table that the texts of a minibatch sum.

    Args:
        rows: Of each n-gram in each bank of its task, (M * S,).
        values: By which the rows are multiplied, 0 where a bank has no row, (M * S,) float32.
        starts: First place of each text, (N,).
        n_banks: S.
    """

    rows: Tensor
    values: Tensor
    starts: Tensor
    n_banks: int

    def to(self, device: torch.device) -> "WideLookup":
        return WideLookup(
            rows=self.rows.to(device, non_blocking=True),
            values=self.values.to(device, non_blocking=True),
            starts=self.starts.to(device, non_blocking=True),
            n_banks=self.n_banks,
        )


def outputs(kind: str, labels: Sequence[str]) -> tuple[str, ...] | None:
    """Return what the logits of a task stand for; None where they do not belong to whole texts.

    Args:
        kind: "classification" or another kind of task.
        labels: None of regression.
    """
    return None if kind == "tagging" else tuple(f"{kind} {label}" for label in labels or [""])


def lay_out(
    ngrams: Ngrams,
    n_buckets: int,
    sharing: str,
    label_sets: LabelSets,
    *,
    class_ratio: bool = False,
) -> WideLayout:
    """Return where the weights stand.

    Args:
        n_buckets: Most rows of a bank.
        sharing: "shared", "per_task" or "both".
        label_sets: The `outputs` of each task; tasks with the same share weights.
        class_ratio: Multiply values by what their n-grams tell of the classes.
    """
    banks, tasks_of_banks = _banks(sharing, label_sets)
    buckets = (ngrams.keys % np.uint64(n_buckets)).astype(np.int64)
    row_of = np.full((len(tasks_of_banks), len(buckets)), -1, dtype=np.int32)
    rows_of_banks: list[int] = []
    for bank, tasks in enumerate(tasks_of_banks):
        held = ngrams.in_train[[k for k in tasks if label_sets[k] is not None]].any(axis=0)
        different, rows = np.unique(buckets[held], return_inverse=True)
        row_of[bank, held] = sum(rows_of_banks) + rows
        rows_of_banks.append(len(different))
    row_of[row_of < 0] = sum(rows_of_banks)
    sets = [label_sets[tasks[0]] or () for tasks in tasks_of_banks]
    factors = np.array(ngrams.factors) if class_ratio else np.ones(len(buckets), np.float32)
    return WideLayout(
        row_of=torch.from_numpy(row_of),
        banks=banks,
        classes=tuple(map(len, sets)),
        rows_of_banks=tuple(rows_of_banks),
        factors=torch.from_numpy(factors),
    )


def look_up(layout: WideLayout, row_of: Tensor, factors: Tensor, batch: Minibatch) -> WideLookup:
    """Return the rows of a minibatch that has n-grams.

    Args:
        row_of, factors: The layout's, on the device of the batch.
    """
    wide = batch.wide
    assert wide is not None
    found = []
    for task, ngrams in zip(batch.tasks, torch.split(wide.ngrams, list(wide.sizes)), strict=True):
        of_row = [row_of[bank][ngrams] for bank in layout.banks[task]]
        found.append(torch.stack(of_row, dim=1).long())  # (M of the row, S)
    rows = torch.cat(found)
    is_known = rows != layout.n_rows - 1  # so that the last row stays 0
    values = (wide.values * factors[wide.ngrams])[:, None] * is_known
    n_banks = rows.shape[1]
    return WideLookup(rows.flatten(), values.flatten(), wide.starts * n_banks, n_banks)


def wide_logits(table: Tensor, lookup: WideLookup, noise: Noise | None, share: float) -> Tensor:
    """Return what the n-grams of each text add to the logits of its task, (N, C).

    Args:
        table: Weights, or the rows of them that `lookup` names.
        noise: Drops whole n-grams, in all banks; None: none is dropped.
        share: Of the n-grams that are dropped.
    """
    if not len(lookup.rows):
        return table.new_zeros(len(lookup.starts), table.shape[1])
    values = lookup.values.to(table.dtype)
    if noise is not None and share:
        mask = noise.mask((len(values) // lookup.n_banks,), share, values.dtype)
        values = values * mask.repeat_interleave(lookup.n_banks)
    return F.embedding_bag(lookup.rows, table, lookup.starts, mode="sum", per_sample_weights=values)


def of_items(of_texts: Tensor, batch: Minibatch, reads: Sequence[Reads]) -> Tensor:
    """Return what is added to each item, (I, C): a text, or a word of a text that is tagged."""
    if all(reads[task] is not Reads.WORDS for task in batch.tasks):
        return of_texts
    counts = batch.lengths.clone()
    for task, of_row in zip(batch.tasks, torch.split(counts, list(batch.sizes)), strict=True):
        if reads[task] is not Reads.WORDS:
            of_row.fill_(1)
    n_items = int(counts.sum())
    counts = counts.to(of_texts.device, non_blocking=True)
    return torch.repeat_interleave(of_texts, counts, dim=0, output_size=n_items)


def _banks(
    sharing: str, label_sets: LabelSets
) -> tuple[tuple[tuple[int, ...], ...], list[list[int]]]:
    """Return the banks of each task, and the tasks of each bank."""
    groups: dict[object, list[int]] = {}
    for task, labels in enumerate(label_sets):
        for kind in ("shared", "per_task"):
            if sharing in (kind, "both"):
                key = labels if kind == "shared" and labels is not None else task
                groups.setdefault((kind, key), []).append(task)
    tasks_of_banks = list(groups.values())
    banks = tuple(
        tuple(bank for bank, tasks in enumerate(tasks_of_banks) if task in tasks)
        for task in range(len(label_sets))
    )
    return banks, tasks_of_banks
