"""Data sets of Hugging Face: folders that `save_to_disk` wrote, and names on the hub.

The `datasets` package is an extra (`pip install branchpoint[hub]`) and imported where it is used.
The numbers of a `ClassLabel` become its names; -1, which stands for a hidden label, becomes none.
Line n of a row in faults and notes is row n of its split, counted from 1.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from mtl_core.data.columns import Cells, Columns, make_row
from mtl_core.data.rows import RowFile, collect, gathered
from mtl_core.data.task import SPLITS
from mtl_core.errors import ConfigError, suggest

NAMES = {  # of the splits, where a task file does not say them; train must be there
    "train": ("train",),
    "dev": ("validation", "dev", "valid", "val"),
    "test": ("test",),
}
MISSING = "the package `datasets` is needed: pip install 'branchpoint[hub]'"
ANSWER_SECONDS = 10.0
_HIDDEN = -1


def read_from_disk(folder: Path, columns: Columns, splits: Mapping[str, str]) -> dict[str, RowFile]:
    """Return the splits of a data set that `save_to_disk` wrote.

    Args:
        splits: The data set's name of each of our splits, where `NAMES` is not right.
    """
    try:
        from datasets import load_from_disk
    except ImportError:
        raise ConfigError(f"{folder}: {MISSING}") from None
    try:
        found = load_from_disk(str(folder))
    except Exception as error:  # of Arrow, json, fsspec, the file system
        wanted = "a folder that `save_to_disk` of a Dataset or DatasetDict wrote is wanted"
        raise ConfigError(f"{folder}: {wanted} ({_first_line(error)})") from None
    return _read(found, str(folder), columns, splits)


def read_from_hub(
    name: str, config: str | None, columns: Columns, splits: Mapping[str, str]
) -> dict[str, RowFile]:
    """Return the splits of a data set on the hub, downloaded or from the hub's own cache."""
    try:
        from datasets import load_dataset
    except ImportError:
        raise ConfigError(f"{name}: {MISSING}") from None
    no_answer = _no_answer(name)
    try:
        with _offline() if no_answer else nullcontext():
            found = load_dataset(name, config)
    except Exception as error:  # of the network, the hub, its cache, the data set's files
        raise ConfigError(_not_loaded(name, config, no_answer or error)) from None
    return _read(found, name if config is None else f"{name}/{config}", columns, splits)


def _no_answer(name: str) -> Exception | None:
    """Ask the hub once, and return what came of it where it does not answer at all.

    `datasets` would ask six times, for half a minute and with a warning each.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().dataset_info(name, timeout=ANSWER_SECONDS)
    except HfHubHTTPError:
        return None  # an answer, of which `datasets` says more
    except Exception as error:  # of the network, or of a name that is none of the hub's
        return error
    return None


@contextmanager
def _offline() -> Iterator[None]:
    """Let `datasets` look in its cache alone."""
    from datasets import config

    before, config.HF_HUB_OFFLINE = config.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before


def _not_loaded(name: str, config: str | None, error: Exception) -> list[str]:
    asked = repr(name) if config is None else f"{name!r}, {config!r}"
    folder = (name if config is None else f"{name}-{config}").replace("/", "-")
    command = f"from datasets import load_dataset; load_dataset({asked}).save_to_disk('{folder}')"
    return [
        f"{name}: the data set cannot be loaded here ({_first_line(error)})",
        f'without a network, run on a machine that has one: python -c "{command}"',
        f"then copy the folder {folder} here and write `disk: {folder}` in place of `hub: {name}`"
        + ("" if config is None else f" and `config: {config}`"),
    ]


def _first_line(error: Exception) -> str:
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text:.200}"


def _read(
    found: Any, source: str, columns: Columns, splits: Mapping[str, str]
) -> dict[str, RowFile]:
    """Return the rows of a `DatasetDict`, or of a `Dataset`, which is train alone."""
    there: dict[str, Any] = dict(found) if isinstance(found, dict) else {"train": found}
    faults = [
        f"{source}: no split {name!r}{suggest(name, there)} (splits: {', '.join(there)})"
        for name in splits.values()
        if name not in there
    ]
    parts: dict[str, RowFile] = {}
    taken: dict[str, str] = {}
    for split in SPLITS:
        names = (splits[split],) if split in splits else () if splits else NAMES[split]
        name = next((name for name in names if name in there), None)
        if name is not None:
            taken[split] = name
            with gathered(faults):
                parts[split] = _rows(there[name], f"{source}/{name}", columns)
    if not faults and "train" not in parts:
        wanted = "`splits: {train: NAME}` would say which of them is train"
        faults.append(f"{source}: no split 'train' (splits: {', '.join(there)}); {wanted}")
    faults += _hidden_faults(parts, taken)
    if faults:
        raise ConfigError(faults)
    return parts


def _hidden_faults(parts: Mapping[str, RowFile], taken: Mapping[str, str]) -> list[str]:
    """Return a fault if no row of test has a label, with the splits that would be right.

    Args:
        taken: The data set's name of each split.
    """
    test = parts.get("test")
    if test is None or not test.rows or any(row.label for row in test.rows):
        return []
    instead = f", test: {taken['dev']}" if "dev" in taken else ""
    wanted = f"`splits: {{train: {taken.get('train', 'NAME')}{instead}}}` would be right"
    missing = "what is missing is cut from train"
    return [f"{test.source}: no row of test has a label; {wanted}, {missing}"]


def _rows(dataset: Any, source: str, columns: Columns) -> RowFile:
    wanted = [str(name) for name in columns.wanted]
    columns.locate(list(dataset.column_names), source)
    cells = dataset.select_columns(wanted).with_format(None)[:]
    name = _namer(dataset.features[str(columns.label)])
    labels = [name(label) for label in cells[str(columns.label)]]
    texts = [cells[name] for name in wanted if name != columns.label]
    rows = zip(texts[0], labels, *texts[1:], strict=True)
    found = (make_row(number, Cells(*row), columns) for number, row in enumerate(rows, start=1))
    return collect(found, source)


def _namer(feature: Any) -> Callable[[Any], Any]:
    """Return what makes a label of a cell of this feature: the class's name, or the cell itself."""
    inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", None)
    if inner is not None:
        name = _namer(inner)
        return lambda cell: None if cell is None else [name(entry) for entry in cell]
    names = getattr(feature, "names", None)
    if names is None:
        return lambda cell: cell
    return lambda cell: None if cell is None or cell == _HIDDEN else names[cell]
