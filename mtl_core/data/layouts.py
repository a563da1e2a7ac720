"""Which of the known layouts a folder has, what tasks are in it, and what reads them.

FDU-MTL's files (`fdu.py`), CoNLL's (`conll.py`), and one folder a task: GLUE's (`glue.py`) or a
user's own (`folders.py`), side by side if need be. A folder a level too high or too low, or of none
of these, is refused with what would be right.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtl_core.data.config import DataConfig
from mtl_core.data.conll import conll_names, missing_of_2003, read_conll_folder
from mtl_core.data.fdu import fdu_names, read_fdu
from mtl_core.data.folders import folder_names, holds_splits, looks_like_task, read_folder_task
from mtl_core.data.glue import glue_names, read_glue_task, unnamed
from mtl_core.data.rows import read_each
from mtl_core.data.task import Task
from mtl_core.errors import ConfigError, suggest
from mtl_core.foreign import expanded

LAYOUTS = (
    "a task file tasks.yaml (which `disk: FOLDER` of a data set saved by `save_to_disk` is for);"
    " one folder a task, TASK/train.tsv (or .csv, .jsonl, .parquet; dev and test alike);"
    " GLUE's, CoNLL-2003's or CoNLL-2000's folder as it is;"
    " or FDU-MTL's NAME.task.train and NAME.task.test"
)

Reader = Callable[[Path, Sequence[str], DataConfig], tuple[Task, ...]]


@dataclass(frozen=True)
class Layout:
    """A folder whose layout is known.

    Args:
        name: "fdu_mtl", "conll", "glue" or "folders".
        names: All tasks that may be named.
        default: Those read where none is named.
    """

    name: str
    folder: Path
    names: Sequence[str]
    default: Sequence[str]
    reader: Reader

    def read(self, names: Sequence[str], config: DataConfig) -> tuple[Task, ...]:
        """Return these tasks; all faults of their files are one `ConfigError`."""
        return self.reader(self.folder, names, config)


def open_folder(source: str, where: str) -> Layout:
    """Return the layout of a folder.

    Args:
        where: Key or place that names the folder, for the faults.
    """
    folder = existing_folder(source, where)
    fdu, conll, folders = fdu_names(folder), conll_names(folder), folder_names(folder)
    if fdu:
        _check_one_layout(folder, folders, where)
        return Layout("fdu_mtl", folder, fdu, fdu, lambda place, names, _: read_fdu(place, names))
    if conll:
        return Layout("conll", folder, conll, conll, _read_conll)
    _check_folders(folder, folders, where)
    glue = glue_names(folder)
    if not glue:
        return Layout("folders", folder, folders, folders, _read_folders)
    own = [name for name in folders if name not in glue and _is(holds_splits, folder / name)]
    name = "folders" if own else "glue"
    return Layout(name, folder, [*glue, *own], [*unnamed(glue), *own], _read_folders)


def existing_folder(source: str, where: str) -> Path:
    """Return the folder `source`, after making sure that it is one and can be read."""
    folder = expanded(source)
    try:
        if not folder.exists():
            raise ConfigError(f"{where}: no such folder: {folder}{_nearest(folder)}")
        if not folder.is_dir():
            raise ConfigError(f"{where}: {folder} is a file; the folder with the tasks is wanted")
        next(folder.iterdir(), None)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"{where}: {folder} cannot be read: {reason}") from None
    return folder


def _read_conll(folder: Path, names: Sequence[str], _: DataConfig) -> tuple[Task, ...]:
    return read_conll_folder(folder, names)


def _read_folders(folder: Path, names: Sequence[str], config: DataConfig) -> tuple[Task, ...]:
    glue = glue_names(folder)

    def read(name: str) -> Task:
        reader = read_glue_task if name in glue else read_folder_task
        return reader(folder, name, config)

    return read_each(names, read)


def _nearest(folder: Path) -> str:
    parent = folder.parent
    try:
        others = [path.name for path in parent.iterdir() if path.is_dir()]
    except OSError:
        others = []
    return suggest(folder.name, [*others, "builtin"])


def _check_one_layout(folder: Path, folders: list[str], where: str) -> None:
    both = [name for name in folders if _is(holds_splits, folder / name)]
    if both:
        found = f"both NAME.task.train files and task folders ({', '.join(both[:5])})"
        raise ConfigError(f"{where}: {folder} holds {found}; one layout is wanted")


def _check_folders(folder: Path, folders: list[str], where: str) -> None:
    """Refuse a folder a level too high or too low, or with nothing in it that looks like a task."""
    if any(_is(holds_splits, folder / name) for name in folders):
        return
    if holds_splits(folder):
        wanted = f"its parent is wanted: {folder.resolve().parent}"
        raise ConfigError(f"{where}: {folder} is the folder of one task; {wanted}")
    deeper = [str(folder / name) for name in folders if _is(_holds_corpus, folder / name)]
    if deeper:
        nearest = " or ".join(deeper[:5])
        raise ConfigError(f"{where}: no tasks in {folder}; did you mean {nearest}?")
    missing = missing_of_2003(folder)
    if missing:
        wanted = "eng.train, eng.testa and eng.testb of CoNLL-2003 would be right"
        raise ConfigError(f"{where}: no {' and no '.join(missing)} in {folder}; {wanted}")
    if not any(_is(looks_like_task, folder / name) for name in folders):
        files = sorted(path.name for path in folder.iterdir())
        listed = ", ".join(files[:8]) + (", ..." if len(files) > 8 else "") or "nothing"
        raise ConfigError(f"{where}: no tasks in {folder} (found: {listed}; understood: {LAYOUTS})")


def _holds_corpus(folder: Path) -> bool:
    if fdu_names(folder) or conll_names(folder):
        return True
    return any(_is(holds_splits, folder / name) for name in folder_names(folder))


def _is(test: Callable[[Path], bool], folder: Path) -> bool:
    """Apply `test` to a folder that may be closed to us; what is wrong with it is said later."""
    try:
        return test(folder)
    except OSError:
        return False
