"""GLUE's folders as they are downloaded (Wang et al., 2018): `RTE/train.tsv`, `RTE/dev.tsv`.

The files are tab-separated, without quoting, some with a byte order mark; CoLA has no header. The
labels of GLUE's test files are not public, so dev.tsv is our test and dev is cut from train, which
a note says. A sub-folder is one of GLUE's if it has its name and its columns; any other is a
user's own (`folders.py`).
"""

from dataclasses import dataclass
from pathlib import Path

from mtl_core.data.columns import Columns
from mtl_core.data.config import DataConfig
from mtl_core.data.formats import read_rows
from mtl_core.data.labels import make_task
from mtl_core.data.rows import RowFile, gathered
from mtl_core.data.splits import STRATA, cut_splits
from mtl_core.data.task import SPLITS, ReadingNote, Task

UNUSED = "unused"
NO_GOLD = "-"  # SNLI's and MNLI's label where the annotators did not agree


@dataclass(frozen=True, kw_only=True)
class GlueTask:
    """Where one of GLUE's tasks has its columns, and what it is scored by.

    Args:
        test: File whose rows are our test; it has labels.
        folder: Sub-folder, where it is not named as the task is.
    """

    columns: Columns
    metric: str = "accuracy"
    test: str = "dev.tsv"
    folder: str | None = None


_PAIR = Columns(text="sentence1", second="sentence2")
_NLI = Columns(text="sentence1", second="sentence2", label="gold_label", keeps_unlabelled=True)
GLUE: dict[str, GlueTask] = {
    "CoLA": GlueTask(columns=Columns(text=3, label=1), metric="matthews"),
    "SST-2": GlueTask(columns=Columns(text="sentence")),
    "MRPC": GlueTask(
        columns=Columns(text="#1 String", second="#2 String", label="Quality"), metric="f1"
    ),
    "STS-B": GlueTask(
        columns=Columns(text="sentence1", second="sentence2", label="score", kind="regression"),
        metric="pearson",
    ),
    "QQP": GlueTask(
        columns=Columns(text="question1", second="question2", label="is_duplicate"), metric="f1"
    ),
    "MNLI": GlueTask(columns=_NLI, test="dev_matched.tsv"),
    # the same train rows again, so it is read only where it is named
    "MNLI-mm": GlueTask(columns=_NLI, test="dev_mismatched.tsv", folder="MNLI"),
    "SNLI": GlueTask(columns=_NLI, test="test.tsv"),
    "QNLI": GlueTask(columns=Columns(text="question", second="sentence")),
    "RTE": GlueTask(columns=_PAIR),
    "WNLI": GlueTask(columns=_PAIR),
}
_UNNAMED = ("MNLI-mm",)


def glue_names(folder: Path) -> list[str]:
    """Return GLUE's tasks in `folder`, in GLUE's own order; those read only when named last."""
    there = [name for name, task in GLUE.items() if _is_here(folder / (task.folder or name), task)]
    return sorted(there, key=lambda name: name in _UNNAMED)


def unnamed(names: list[str]) -> list[str]:
    """Return those of GLUE's tasks that are read where none is named."""
    return [name for name in names if name not in _UNNAMED]


def read_glue_task(folder: Path, name: str, config: DataConfig) -> Task:
    """Return the task in a sub-folder of GLUE's folder; all its faults are one `ConfigError`."""
    task = GLUE[name]
    place = folder / (task.folder or name)
    faults: list[str] = []
    parts: dict[str, RowFile] = {}
    with gathered(faults):
        parts["train"] = _read(place / "train.tsv", task)
    with gathered(faults):
        parts["test"] = _read(place / task.test, task, note=_about_test(place / task.test))
    dev = place / "dev.tsv"
    if task.test == "test.tsv" and dev.exists():
        with gathered(faults):
            parts["dev"] = _read(dev, task)
    elif "train" in parts and parts["train"].rows:
        with gathered(faults):
            parts |= cut_splits(
                parts["train"],
                {"dev": config.dev_share},
                task=name,
                seed=config.split_seed,
                by=STRATA[task.columns.kind],
            )
    ordered = {split: parts[split] for split in SPLITS if split in parts}
    kind, metric = task.columns.kind, task.metric
    return make_task(name, ordered, kind=kind, metric=metric, faults=faults)


def _is_here(folder: Path, task: GlueTask) -> bool:
    try:
        with (folder / "train.tsv").open("rb") as file:
            header = file.readline(65_536).decode("utf-8-sig", "replace").rstrip("\r\n").split("\t")
    except OSError:
        return False
    if not task.columns.has_header:
        return len(header) == 4 and header[1] in ("0", "1")
    return set(task.columns.wanted) <= set(header)


def _read(path: Path, task: GlueTask, note: ReadingNote | None = None) -> RowFile:
    file = read_rows(path, task.columns)
    rows = tuple(row._replace(label="") if row.label == NO_GOLD else row for row in file.rows)
    notes = file.notes if note is None else (*file.notes, note)
    return RowFile(source=file.source, rows=rows, notes=notes)


def _about_test(path: Path) -> ReadingNote | None:
    if path.name == "test.tsv":
        return None
    message = f"test: the rows of {path.name}, since GLUE's own test labels are not public"
    return ReadingNote(kind=UNUSED, source=str(path), line=None, message=message)
