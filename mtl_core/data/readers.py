"""Find out how a folder is laid out, and read its tasks into a `Corpus`.

Two layouts are understood beside the built-in corpus: FDU-MTL's files (`fdu.py`) and one folder a
task (`folders.py`). Whatever is wrong with the data is one `ConfigError` with all faults, so that a
user mends them in one go. Only the tasks that the configuration names are read.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from mtl_core.data.config import DataConfig
from mtl_core.data.fdu import fdu_names, read_fdu
from mtl_core.data.folders import folder_names, holds_splits, looks_like_task, read_folders
from mtl_core.data.task import Corpus
from mtl_core.errors import ConfigError, check_names, suggest

BUILTIN = "builtin"
WHERE = "data.source"
LAYOUTS = (
    "one folder a task, TASK/train.tsv (or .csv, .jsonl, .parquet; dev and test alike),"
    " or FDU-MTL's NAME.task.train and NAME.task.test"
)


def read_corpus(config: DataConfig) -> Corpus:
    """Return the tasks that `config` names, with their rows; all faults are one `ConfigError`."""
    _check_repeated(config)
    if config.source == BUILTIN:
        from mtl_core.data.synthetic import generate

        return generate(config.builtin).select(config.tasks)
    folder = _check_folder(config.source)
    fdu, folders = fdu_names(folder), folder_names(folder)
    check_layout = _check_one_layout if fdu else _check_folders
    check_layout(folder, folders)
    names = fdu or folders
    check_names(config.tasks, names, where=f"data.tasks, in {folder}")
    wanted = config.tasks or names
    tasks = read_fdu(folder, wanted) if fdu else read_folders(folder, wanted, config)
    return Corpus(tasks=tasks, layout="fdu_mtl" if fdu else "folders", source=str(folder))


def _check_repeated(config: DataConfig) -> None:
    repeated = [name for name, count in Counter(config.tasks).items() if count > 1]
    if repeated:
        raise ConfigError(f"data.tasks: named more than once: {', '.join(repeated)}")


def _check_folder(source: str) -> Path:
    if not source:
        raise ConfigError(f'{WHERE}: is empty; a folder or "{BUILTIN}" is wanted')
    folder = Path(source).expanduser()
    try:
        if not folder.exists():
            raise ConfigError(f"{WHERE}: no such folder: {folder}{_nearest(folder)}")
        if not folder.is_dir():
            raise ConfigError(f"{WHERE}: {folder} is a file; the folder with the tasks is wanted")
        next(folder.iterdir(), None)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"{WHERE}: {folder} cannot be read: {reason}") from None
    return folder


def _nearest(folder: Path) -> str:
    parent = folder.parent
    try:
        others = [path.name for path in parent.iterdir() if path.is_dir()]
    except OSError:
        others = []
    return suggest(folder.name, [*others, BUILTIN])


def _check_one_layout(folder: Path, folders: list[str]) -> None:
    both = [name for name in folders if _is(holds_splits, folder / name)]
    if both:
        found = f"both NAME.task.train files and task folders ({', '.join(both[:5])})"
        raise ConfigError(f"{WHERE}: {folder} holds {found}; one layout is wanted")


def _check_folders(folder: Path, folders: list[str]) -> None:
    """Refuse a folder a level too high or too low, or with nothing in it that looks like a task."""
    if any(_is(holds_splits, folder / name) for name in folders):
        return
    if holds_splits(folder):
        wanted = f"its parent is wanted: {folder.resolve().parent}"
        raise ConfigError(f"{WHERE}: {folder} is the folder of one task; {wanted}")
    deeper = [str(folder / name) for name in folders if _is(_holds_corpus, folder / name)]
    if deeper:
        nearest = " or ".join(deeper[:5])
        raise ConfigError(f"{WHERE}: no tasks in {folder}; did you mean {nearest}?")
    if not any(_is(looks_like_task, folder / name) for name in folders):
        files = sorted(path.name for path in folder.iterdir())
        listed = ", ".join(files[:8]) + (", ..." if len(files) > 8 else "") or "nothing"
        raise ConfigError(f"{WHERE}: no tasks in {folder} (found: {listed}; understood: {LAYOUTS})")


def _holds_corpus(folder: Path) -> bool:
    folders = folder_names(folder)
    return bool(fdu_names(folder)) or any(_is(holds_splits, folder / name) for name in folders)


def _is(test: Callable[[Path], bool], folder: Path) -> bool:
    """Apply `test` to a folder that may be closed to us; what is wrong with it is said later."""
    try:
        return test(folder)
    except OSError:
        return False
