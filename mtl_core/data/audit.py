"""The audit: what is in the task files, and what is wrong with them, before anything is trained.

Per task: rows, classes, balance, lengths, texts cut, vocabulary, unknown words, texts that occur
more than once (`duplicates.py`) or in other tasks too (`overlap.py`), lines that are not UTF-8,
rows left out, splits cut from train. The words of a pair are those of both its texts.
Every study stores it as JSON (`as_dict`); `audit_table.py` draws it for a person.
"""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtl_core.data.audit_split import SplitAudit, audit_split, within
from mtl_core.data.audit_words import (
    WholeTexts,
    Words,
    measure_whole,
    measure_words,
)
from mtl_core.data.config import DataConfig
from mtl_core.data.duplicates import Repeats, find_repeats, normalise_corpus
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.lines import UNDECODABLE
from mtl_core.data.overlap import find_overlap
from mtl_core.data.rows import DROPPED
from mtl_core.data.splits import CUT
from mtl_core.data.task import SPLITS, Corpus, ReadingNote, Task

if TYPE_CHECKING:
    from rich.table import Table

MAX_LISTED = 100
_TOLD = (UNDECODABLE, DROPPED, CUT)  # notes that have fields of their own


@dataclass(frozen=True, kw_only=True)
class TaskAudit:
    """One task; the counts of repeated texts are those of `Repeats`.

    Args:
        vocabulary: Different words of its train split that a model can learn: after the cut.
        whole: The texts of "train" and of "train_and_dev" before any cut.
        undecodable: Lines of each file that are not UTF-8 and were read as Latin-1.
        n_dropped: Rows left out; `dropped` lists the first of them, with file and line.
        cut_from_train: A sentence for each split that had no file.
        remarks: What else the reader has to say: kind of the note, file, line and message.
    """

    name: str
    kind: str
    of_pairs: bool
    metric: str
    labels: tuple[str, ...]
    splits: dict[str, SplitAudit]
    vocabulary: int
    whole: dict[str, WholeTexts]
    dev_in_train: int
    test_in_train: int
    test_in_dev: int
    test_in_train_or_dev: int
    test_in_any_train: int
    test_in_any_train_or_dev: int
    contradicting: int
    undecodable: dict[str, int]
    n_dropped: int
    dropped: tuple[dict[str, Any], ...]
    cut_from_train: tuple[str, ...]
    remarks: tuple[dict[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class Audit:
    """All tasks.

    Args:
        unit: What lengths are counted in: "words", or "pieces" of words.
        vocabulary: Different words of all train splits together.
        totals: Sums over the tasks: rows of each split, and the counts of repeated texts.
        between, between_train_or_dev: Entry i, j: test rows of task i whose text is in train (in
            train or dev) of task j; (K, K).
        shared: The matrices of `Overlap` by their names; (K, K) each.
    """

    layout: str
    source: str
    unit: str
    max_words: int
    vocabulary: int
    tasks: tuple[TaskAudit, ...]
    totals: dict[str, int]
    between: tuple[tuple[int, ...], ...]
    between_train_or_dev: tuple[tuple[int, ...], ...]
    shared: dict[str, tuple[tuple[int, ...], ...]]

    @property
    def headline(self) -> str:
        """What a person must know before reading the tables, in a few sentences."""
        from mtl_core.data.audit_headline import headline

        return headline(self)

    def as_dict(self) -> dict[str, Any]:
        """Return the audit as JSON has it: dictionaries, lists, numbers and text."""
        return {"headline": self.headline, **_as_json(asdict(self))}

    def tables(self) -> list["Table"]:
        """Return what is to be printed, in order: the headline, then the tables."""
        from mtl_core.data.audit_table import audit_tables

        return audit_tables(self)


def audit(corpus: Corpus, encoded: EncodedCorpus | None, config: DataConfig) -> Audit:
    """Return the audit of `corpus`; without `encoded`, words are what white space separates."""
    texts = normalise_corpus(corpus)
    repeats, overlap = find_repeats(corpus, texts), find_overlap(corpus)
    words = measure_words(corpus, texts, config, encoded)
    whole = measure_whole(corpus, texts, config.max_words)
    tasks = tuple(
        _audit_task(task, corpus.source, repeats, words, whole[task.name]) for task in corpus.tasks
    )
    return Audit(
        layout=corpus.layout,
        source=corpus.source,
        unit=words.unit,
        max_words=config.max_words,
        vocabulary=words.vocabulary,
        tasks=tasks,
        totals=_totals(tasks),
        between=_rows_of(repeats.between),
        between_train_or_dev=_rows_of(repeats.between_train_or_dev),
        shared={name: _rows_of(matrix) for name, matrix in vars(overlap).items()},
    )


def _rows_of(matrix: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, matrix.tolist()))


def _audit_task(
    task: Task, folder: str, repeats: Repeats, words: Words, whole: dict[str, WholeTexts]
) -> TaskAudit:
    name = task.name
    splits = {
        split: audit_split(
            task, split, folder, words.splits[name, split], repeated=repeats.within[name, split]
        )
        for split in task.splits
    }
    dropped = [note for note in task.notes if note.kind == DROPPED]
    sources = Counter(note.source for note in task.notes if note.kind == UNDECODABLE)
    return TaskAudit(
        name=name,
        kind=task.kind,
        of_pairs=task.of_pairs,
        metric=task.metric,
        labels=task.labels,
        splits=splits,
        vocabulary=words.vocabulary_of[name],
        whole=whole,
        dev_in_train=repeats.dev_in_train[name],
        test_in_train=repeats.test_in_train[name],
        test_in_dev=repeats.test_in_dev[name],
        test_in_train_or_dev=repeats.test_in_train_or_dev[name],
        test_in_any_train=repeats.test_in_any_train[name],
        test_in_any_train_or_dev=repeats.test_in_any_train_or_dev[name],
        contradicting=repeats.contradicting[name],
        undecodable={within(source, folder): count for source, count in sources.items()},
        n_dropped=len(dropped),
        dropped=tuple(_place(note, folder) for note in dropped[:MAX_LISTED]),
        cut_from_train=tuple(note.message for note in task.notes if note.kind == CUT),
        remarks=tuple(
            {"kind": note.kind, **_place(note, folder)}
            for note in task.notes
            if note.kind not in _TOLD
        ),
    )


def _totals(tasks: tuple[TaskAudit, ...]) -> dict[str, int]:
    rows = {f"{split}_rows": sum(task.splits[split].rows for task in tasks) for split in SPLITS}
    within = {
        f"repeated_within_{split}": sum(task.splits[split].repeated_within for task in tasks)
        for split in SPLITS
    }
    counts = (
        "dev_in_train", "test_in_train", "test_in_dev", "test_in_train_or_dev",
        "test_in_any_train", "test_in_any_train_or_dev", "contradicting", "n_dropped",
    )  # fmt: skip
    sums = {count: sum(getattr(task, count) for task in tasks) for count in counts}
    sums["unlabelled"] = sum(rows.unlabelled for task in tasks for rows in task.splits.values())
    undecodable = sum(sum(task.undecodable.values()) for task in tasks)
    return {**rows, **within, **sums, "undecodable": undecodable}


def _place(note: ReadingNote, folder: str) -> dict[str, Any]:
    return {"file": within(note.source, folder), "line": note.line, "message": note.message}


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_json(entry) for key, entry in value.items()}
    return [_as_json(entry) for entry in value] if isinstance(value, list | tuple) else value
