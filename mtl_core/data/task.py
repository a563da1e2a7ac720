"""What a task is once its files are read: `Split`, `Task`, and `Corpus`, which holds them all.

Readers make these (`readers.py`), the audit looks at them (`audit.py`), and encoding turns them
into memory-mapped numbers (`encoded.py`), which is all that training sees.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from mtl_core.errors import check_names

SPLITS = ("train", "dev", "test")
# The metrics that a task of each kind may be scored by; the first is taken where none is named.
METRICS: dict[str, tuple[str, ...]] = {
    "classification": ("accuracy", "macro_f1", "f1", "matthews"),
    "multilabel": ("micro_f1", "macro_f1", "accuracy"),
    "regression": ("pearson", "spearman"),
    "tagging": ("entity_f1", "accuracy"),
}
KINDS = tuple(METRICS)
NO_LABEL = ""  # of a row that this task has no label for: it is kept, and counts for nothing
LABEL_SEPARATOR = "|"  # between the labels of one text of a multilabel task


def labels_in(label: str, kind: str) -> list[str]:
    """Return the single labels of what `Split.labels` holds: a class, labels, or tags.

    None for `NO_LABEL`, for a multilabel row with none of the labels, and for a number.
    """
    if label == NO_LABEL or kind == "regression":
        return []
    if kind == "multilabel":
        return [part for part in label.split(LABEL_SEPARATOR) if part]
    return label.split(" ") if kind == "tagging" else [label]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Rows of one split, in file order.

    Args:
        texts: Decoded texts, none of them empty. Of tagging: words, one space between them.
        labels: Label of each text as written in the file, or `NO_LABEL`. Of multilabel: labels
            with `LABEL_SEPARATOR` between them, or that alone where none holds; of regression: a
            number; of tagging: a tag for each word (IOB2 where they are spans), one space between.
        source: File the rows were read from (the train file too, for a dev cut from it).
        seconds: The second text of each row of a task of pairs; empty where texts stand alone.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    source: str
    seconds: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, kw_only=True)
class ReadingNote:
    """Something about a file that the reader mended or left out, and that a person should know.

    Args:
        kind: "undecodable" (line read as Latin-1), "dropped" (row left out), "split" (a dev or
            test part cut from train), "unlabelled" (rows without a label), "unseen" (a label that
            train has not), "converted" (tags of another scheme) or "unused" (a file not read).
        line: Line in the file, counted from 1; None where the note is on the whole file.
    """

    kind: str
    source: str
    line: int | None
    message: str


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task: a name, a kind, its splits, its label set and its metric.

    Args:
        labels: Classes found from train, or labels or tags found from all splits, in the order of
            their numbers; empty for regression.
    """

    name: str
    kind: str = "classification"
    metric: str = "accuracy"
    labels: tuple[str, ...]
    splits: dict[str, Split]
    notes: tuple[ReadingNote, ...] = field(default=())

    @property
    def of_pairs(self) -> bool:
        """Whether a row is two texts."""
        return bool(self.splits["train"].seconds)


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """The tasks of a study, in the order that all plans, reports and task tokens use.

    Args:
        layout: The reader that read it: "fdu_mtl", "glue", "conll", "folders", "task_file" or
            "builtin".
        source: The folder or task file, or "builtin".
    """

    tasks: tuple[Task, ...]
    layout: str
    source: str

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(task.name for task in self.tasks)

    def select(self, names: Sequence[str]) -> "Corpus":
        """Return the corpus of those tasks, in that order; all of them for an empty `names`."""
        if not names:
            return self
        check_names(names, self.names, where="data.tasks")
        by_name = {task.name: task for task in self.tasks}
        tasks = tuple(by_name[name] for name in names)
        return Corpus(tasks=tasks, layout=self.layout, source=self.source)

    def content_hash(self) -> str:
        """Return a hash of all names, texts and labels: equal corpora hash equally anywhere."""
        return self._content_hash

    @cached_property  # asked for by the cache, the journal and the environment of one start
    def _content_hash(self) -> str:
        digest = hashlib.sha256()
        for task in self.tasks:
            digest.update(f"{task.name}\x1f{task.kind}\x1f{task.labels}".encode())
            for name, split in sorted(task.splits.items()):
                digest.update(f"\x1e{name}".encode())
                for text, label in zip(split.texts, split.labels, strict=True):
                    digest.update(f"{label}\x1f{text}\x1e".encode())
                for text in split.seconds:
                    digest.update(f"{text}\x1e".encode())
        return digest.hexdigest()
