"""Task files: a list of tasks in YAML, each with its kind, files and columns, or from a folder.

Tasks may read the same file with other label columns: they then share their texts, a row without a
label for one of them is kept, and where dev or test is cut, it is the same texts for all of them.
Paths are seen from the task file.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from mtl_core.data.config import DataConfig
from mtl_core.data.conll import read_conll
from mtl_core.data.formats import read_rows
from mtl_core.data.header_rows import header_faults
from mtl_core.data.hub import read_from_disk, read_from_hub
from mtl_core.data.iob import to_iob2
from mtl_core.data.labels import make_task
from mtl_core.data.rows import RowFile, gathered, read_each
from mtl_core.data.splits import STRATA, cut_last, cut_splits
from mtl_core.data.task import SPLITS, Corpus, Task
from mtl_core.data.task_entries import Entry, FolderEntry, TaskEntry, read_entry
from mtl_core.errors import ConfigError, check_names, suggest
from mtl_core.faults import Faults
from mtl_core.foreign import expanded
from mtl_core.yaml_lines import parse, read_file

TASK_FILE = "tasks.yaml"
ENDINGS = (".yaml", ".yml")


class Folder(Protocol):
    """A folder in a known layout (`layouts.py`)."""

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def default(self) -> Sequence[str]: ...

    def read(self, names: Sequence[str], config: DataConfig) -> tuple[Task, ...]: ...


Opener = Callable[[str, str], Folder]
"""Finds the layout of a folder; the second argument is where it is named, for the faults."""


@dataclass(frozen=True)
class _Source:
    """A task by its name in the corpus, what reads it, and the entry it comes from."""

    name: str
    read: Callable[[], Task]
    entry: int


def read_task_file(path: Path, config: DataConfig, open_folder: Opener) -> Corpus:
    """Return the tasks of a task file that `config` names; all faults are one `ConfigError`."""
    sources = _sources(path, config, open_folder)
    check_names(config.tasks, sources, where=f"data.tasks, in {path}")
    tasks = read_each(config.tasks or sources, lambda name: sources[name].read())
    return Corpus(tasks=tasks, layout="task_file", source=str(path))


def _sources(path: Path, config: DataConfig, open_folder: Opener) -> dict[str, _Source]:
    document = parse(read_file(path), str(path))
    faults = Faults(document, list(document.faults))
    of_folders: list[str] = []
    found: list[_Source] = []
    entries = _entries(document.values, faults)
    shared = Counter(_texts(entry, path.parent) for entry in entries.values())
    if not config.exclude_overlap:  # which takes rows of dev and test out of train
        _note_cut_apart(entries, path.parent, config.tasks, faults)
    for number, entry in entries.items():
        if isinstance(entry, TaskEntry):
            _note_missing(entry, number, path.parent, faults)
            by = "text" if shared[_texts(entry, path.parent)] > 1 else STRATA.get(entry.kind)
            read = partial(_read_task, entry, path.parent, config, by)
            found.append(_Source(entry.name, read, number))
        else:
            where = str(document.place((number, "from")))
            with gathered(of_folders):
                folder = open_folder(str(_at(path.parent, entry.folder)), f"{where}: from")
                found += _of_folder(entry, folder, config, number, where)
    _note_repeated(found, faults)
    if faults.found or of_folders:
        raise ConfigError([*faults.lines(), *of_folders])
    return {source.name: source for source in found}


def _entries(values: object, faults: Faults) -> dict[int, Entry]:
    """Return the sound entries by their place in the list."""
    if faults.found:
        return {}
    if not isinstance(values, list) or not values:
        wanted = "a list of tasks, each with name:, files: and columns:"
        faults.add((), f"no task file; {wanted}, or the folder with the tasks would be right")
        return {}
    read = {number: read_entry(raw, (number,), faults) for number, raw in enumerate(values)}
    return {number: entry for number, entry in read.items() if entry is not None}


def _note_repeated(sources: Sequence[_Source], faults: Faults) -> None:
    first: dict[str, int] = {}
    for source in sources:
        if first.setdefault(source.name, source.entry) != source.entry:
            hint = "another name, or `prefix:` of a folder, would be right"
            faults.add((source.entry,), f"a second task {source.name!r}; {hint}")


def _of_folder(
    entry: FolderEntry, folder: Folder, config: DataConfig, number: int, where: str
) -> list[_Source]:
    check_names(entry.tasks, folder.names, where=f"{where}: tasks")

    def read(name: str) -> Task:
        (task,) = folder.read([name], config)
        return replace(task, name=f"{entry.prefix}{name}")

    names = entry.tasks or folder.default
    return [_Source(f"{entry.prefix}{name}", partial(read, name), number) for name in names]


def _at(folder: Path, name: str) -> Path:
    return Path(os.path.normpath(folder / expanded(name)))


def _texts(entry: Entry, folder: Path) -> str | None:
    """Return what tasks have in common that read the same texts; None for those of a folder."""
    if isinstance(entry, FolderEntry):
        return None
    columns = entry.as_columns()
    texts = sorted(map(str, (columns.text, columns.second)))  # a pair, in any order
    if entry.files is not None:
        return f"{_at(folder, entry.files.train)} {texts}"
    train = entry.splits.train if entry.splits else "train"
    disk = entry.disk and _at(folder, entry.disk)
    return f"{disk} {entry.hub} {entry.config} {train} {texts}"


def _note_cut_apart(
    entries: Mapping[int, Entry], folder: Path, tasks: Sequence[str], faults: Faults
) -> None:
    """Note tasks of the same texts of which one would train on what another is tested on."""
    first: dict[str | None, TaskEntry] = {}
    for number, entry in entries.items():
        if isinstance(entry, FolderEntry) or (tasks and entry.name not in tasks):
            continue
        other = first.setdefault(_texts(entry, folder), entry)
        mine, others = _parts(entry), _parts(other)
        if None not in (mine, others) and mine != others:
            found = f"has the texts of task {other.name!r} in other parts: {mine}, there {others}"
            wanted = "the same for both would be right, or rows of test are in train of the other"
            faults.add((number,), f"task {entry.name!r} {found}; {wanted}")


def _parts(entry: TaskEntry) -> str | None:
    """Return where dev and test come from, in words; None: a data set has those it has."""
    given = entry.files or entry.splits
    if given is None:
        return None
    dev = entry.dev or ("its own" if given.dev else "cut from train")
    return f"dev is {dev}, test is {'its own' if given.test else 'cut from train'}"


def _note_missing(entry: TaskEntry, number: int, folder: Path, faults: Faults) -> None:
    for split, name in entry.files.items() if entry.files else ():
        file = _at(folder, name)
        if not file.is_file():
            key = f"files.{split}"
            what = "is a folder, a file would be right" if file.is_dir() else "no such file"
            faults.add((number, "files", split), f"{what}: {file}{_nearest(file)}", key=key)
    if entry.disk is not None and not _at(folder, entry.disk).is_dir():
        place = _at(folder, entry.disk)
        faults.add((number, "disk"), f"no such folder: {place}{_nearest(place)}", key="disk")


def _nearest(path: Path) -> str:
    try:
        return suggest(path.name, [other.name for other in path.parent.iterdir()])
    except OSError:
        return ""


def _read_task(entry: TaskEntry, folder: Path, config: DataConfig, by: str | None) -> Task:
    """Return the task of an entry.

    Args:
        by: What the strata are of where dev or test is cut (`cut_splits`).
    """
    faults: list[str] = []
    parts = _read_parts(entry, folder, faults)
    headers = header_faults(parts, entry.as_columns(), entry.kind)
    if headers:
        raise ConfigError([*faults, *headers])
    if not faults and entry.last is not None:
        parts |= _last_as_dev(parts, entry.last, entry.name)
    given = {"test": config.test_share, "dev": config.dev_share}
    shares = {split: share for split, share in given.items() if split not in parts}
    if shares and not faults and parts["train"].rows:
        seed = config.split_seed
        with gathered(faults):
            parts |= cut_splits(parts["train"], shares, task=entry.name, seed=seed, by=by)
    ordered = {split: parts[split] for split in SPLITS if split in parts}
    return make_task(entry.name, ordered, kind=entry.kind, metric=entry.metric, faults=faults)


def _last_as_dev(parts: Mapping[str, RowFile], n_rows: int, name: str) -> dict[str, RowFile]:
    if "dev" in parts:  # of a data set that says itself which splits it has
        both = f"is dev of task {name!r}, and `dev: last {n_rows}` is too"
        wanted = "one of both would be right, and `splits:` without dev leaves out the first"
        raise ConfigError(f"{parts['dev'].source}: {both}; {wanted}")
    return cut_last(parts["train"], n_rows)


def _read_parts(entry: TaskEntry, folder: Path, faults: list[str]) -> dict[str, RowFile]:
    columns = entry.as_columns()
    parts: dict[str, RowFile] = {}
    if entry.files is not None:
        for split, name in entry.files.items():
            with gathered(faults):
                parts[split] = _read_file(entry, _at(folder, name), entry.ending_of(name))
    else:
        splits = dict(entry.splits.items()) if entry.splits else {}
        with gathered(faults):
            if entry.disk is not None:
                parts = read_from_disk(_at(folder, entry.disk), columns, splits)
            else:
                parts = read_from_hub(str(entry.hub), entry.config, columns, splits)
    return to_iob2(parts) if entry.kind == "tagging" else parts


def _read_file(entry: TaskEntry, path: Path, ending: str | None) -> RowFile:
    if ending == ".conll":
        return read_conll(path, entry.columns.word or 0, int(entry.columns.label))
    return read_rows(path, entry.as_columns(), ending)
