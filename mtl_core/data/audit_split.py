"""What is in one split of one task, for the audit."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtl_core.data.audit_words import SplitWords, count_labels
from mtl_core.data.task import NO_LABEL, Split, Task

QUANTILES = {"min": 0.0, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95, "max": 1.0}


@dataclass(frozen=True, kw_only=True)
class SplitAudit:
    """One split of one task.

    Args:
        unlabelled: Rows without a label for this task.
        classes: Rows of each label; of tagging, words of each tag; of regression, none.
        majority_share: Share of the labelled rows (of tagging: words) that have the most frequent
            label.
        numbers: Mean, standard deviation, least and greatest label of regression.
        lengths: Mean and quantiles of the texts' lengths, in the audit's `unit`.
        n_cut, cut_share: Texts longer than `max_words`.
        unknown_share, unknown_to_task_share: See `SplitWords`.
        repeated_within: Rows that equal an earlier row of the split.
    """

    rows: int
    unlabelled: int
    classes: dict[str, int]
    majority_share: float
    numbers: dict[str, float]
    lengths: dict[str, float]
    n_cut: int
    cut_share: float
    unknown_share: float
    unknown_to_task_share: float
    repeated_within: int
    source: str


def audit_split(
    task: Task, split: str, folder: str, words: SplitWords, *, repeated: int
) -> SplitAudit:
    """Return the audit of a split, given its words and how many of its rows are repeated."""
    rows = task.splits[split]
    classes = count_labels(task, [split])
    unlabelled = rows.labels.count(NO_LABEL)
    n_labelled = classes.total() if task.kind == "tagging" else len(rows) - unlabelled
    quantiles = np.quantile(words.lengths, list(QUANTILES.values())).tolist()
    return SplitAudit(
        rows=len(rows),
        unlabelled=unlabelled,
        classes=dict(sorted(classes.items())),
        majority_share=max(classes.values(), default=0) / max(1, n_labelled),
        numbers=_numbers(rows) if task.kind == "regression" else {},
        lengths={
            "mean": float(words.lengths.mean()),
            **dict(zip(QUANTILES, quantiles, strict=True)),
        },
        n_cut=words.n_cut,
        cut_share=words.n_cut / len(rows),
        unknown_share=words.unknown_share,
        unknown_to_task_share=words.unknown_to_task_share,
        repeated_within=repeated,
        source=within(rows.source, folder),
    )


def _numbers(rows: Split) -> dict[str, float]:
    values = np.array([label for label in rows.labels if label != NO_LABEL], dtype=np.float64)
    return {
        "mean": float(values.mean()),
        "sd": float(values.std()),
        "min": float(values.min()),
        "max": float(values.max()),
    }


def within(source: str, folder: str) -> str:
    """Return the file as seen from the data folder, so that audits of two machines are equal."""
    path, base = Path(source), Path(folder)
    base = base.parent if base.is_file() else base
    if path.is_relative_to(base):
        return str(path.relative_to(base))
    return os.path.relpath(path, base) if path.exists() else source
