"""A user's own data: one folder a task, `TASK/{train,dev,test}.{tsv,csv,jsonl,parquet}`.

Where dev or test is missing it is cut from train (`splits.py`). Everything else that looks like a
split under another name (`valid.tsv`, `train.txt`) is a fault: to leave it out silently would give
another dev set than the user believes. What is in the files is `formats.py`.
"""

from difflib import get_close_matches
from pathlib import Path

from mtl_core.data.config import DataConfig
from mtl_core.data.formats import FORMATS, read_rows
from mtl_core.data.labels import make_task
from mtl_core.data.rows import RowFile, gathered
from mtl_core.data.splits import cut_splits
from mtl_core.data.task import SPLITS, Task
from mtl_core.errors import ConfigError

OTHER_NAMES = {
    "training": "train",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "development": "dev",
    "testing": "test",
    "eval": "dev",
    "evaluation": "dev",
}
OTHER_ENDINGS = (".txt", ".json", ".arrow", ".xlsx", ".gz", ".zip", ".zst")
UNDERSTOOD = "train, dev, test with " + ", ".join(FORMATS)


def folder_names(folder: Path) -> list[str]:
    """Return the sub-folders that stand for tasks, in alphabetical order; hidden ones do not."""
    return sorted(
        path.name for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._"
    )


def holds_splits(folder: Path) -> bool:
    """Say whether a train, dev or test file lies directly in `folder`: it is one task's folder."""
    return any(path.stem in SPLITS and path.suffix in FORMATS for path in folder.iterdir())


def looks_like_task(folder: Path) -> bool:
    """Say whether a file in `folder` has an ending that is understood, or the name of a split."""
    names = (*SPLITS, *OTHER_NAMES)
    return any(path.suffix in FORMATS or path.stem.lower() in names for path in folder.iterdir())


def read_folder_task(parent: Path, name: str, config: DataConfig) -> Task:
    """Return the task of one sub-folder, or raise one `ConfigError` for all faults of its files."""
    folder = parent / name
    faults: list[str] = []
    parts: dict[str, RowFile] = {}
    files = _find_files(folder)
    for split, path in files.items():
        with gathered(faults):
            parts[split] = read_rows(path)
    given = {"test": config.test_share, "dev": config.dev_share}
    shares = {split: share for split, share in given.items() if split not in files}
    if shares and "train" in parts and parts["train"].rows:
        with gathered(faults):
            parts |= cut_splits(parts["train"], shares, task=folder.name, seed=config.split_seed)
    ordered = {split: parts[split] for split in SPLITS if split in parts}
    return make_task(folder.name, ordered, faults=faults)


def _find_files(folder: Path) -> dict[str, Path]:
    """Return the file of each split that has one; faults: two for one, none for train."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be read: {error.strerror or error}") from None
    files: dict[str, list[Path]] = {split: [] for split in SPLITS}
    for path in paths:
        if path.stem in SPLITS and path.suffix in FORMATS:
            files[path.stem].append(path)
    faults = [
        f"{folder}: {' and '.join(path.name for path in found)} are both {split}; one is wanted"
        for split, found in files.items()
        if len(found) > 1
    ]
    misnamed = [_misnamed(path, files) for path in paths if path.suffix != ""]
    faults += [fault for fault in misnamed if fault]
    if not files["train"] and not any(misnamed):
        listed = ", ".join(path.name for path in paths[:10]) or "nothing"
        faults.append(f"{folder}: no train file (found: {listed}; understood: {UNDERSTOOD})")
    if faults:
        raise ConfigError(faults)
    return {split: found[0] for split, found in files.items() if found}


def _misnamed(path: Path, files: dict[str, list[Path]]) -> str | None:
    """Return the fault of a file that seems to be a split under a name that is not understood."""
    stem, _, ending = path.name.lower().partition(".")
    ending = f".{ending}"
    if path in [file for found in files.values() for file in found]:
        return None
    readable = ending in FORMATS
    if not readable and not ending.endswith(OTHER_ENDINGS):
        return None
    split = OTHER_NAMES.get(stem) or next(iter(get_close_matches(stem, SPLITS, cutoff=0.8)), None)
    if split is None or files[split]:
        return None
    if readable:
        return f"{path}: did you mean {split}{ending}? (understood: {UNDERSTOOD})"
    others = [ending for ending in FORMATS if ending != ".tsv"]
    return f"{path}: {ending} is not understood, write it as {split}.tsv (or {', '.join(others)})"
