"""FDU-MTL's own layout: `NAME.task.train` and `NAME.task.test`, a label, a tab and a text a line.

The data is that of Liu, Qiu and Huang, *Adversarial Multi-task Learning for Text Classification*
(ACL 2017), in the files of `ccsasuke/man`. Dev has no file: it is the last 200 lines of the train
file, as in everything published on it. `NAME.task.unlabel` (texts without labels) is not read.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mtl_core.data.labels import make_task
from mtl_core.data.lines import read_lines
from mtl_core.data.rows import Malformed, Row, RowFile, collect, gathered, read_each
from mtl_core.data.task import Task
from mtl_core.errors import ConfigError, suggest

N_DEV_LINES = 200
TRAIN, TEST = ".task.train", ".task.test"

# Tasks come in the order of the published tables; others follow in alphabetical order.
PUBLISHED_ORDER = (
    "books", "electronics", "dvd", "kitchen_housewares", "apparel", "camera_photo",
    "health_personal_care", "music", "toys_games", "video", "baby", "magazines", "software",
    "sports_outdoors", "imdb", "MR",
)  # fmt: skip


def fdu_names(folder: Path) -> list[str]:
    """Return the tasks that have a train or a test file in `folder`; empty if it is no FDU-MTL."""
    files = [path.name for path in folder.iterdir()]
    names = {
        name.removesuffix(end) for name in files for end in (TRAIN, TEST) if name.endswith(end)
    } - {""}
    place = {name: number for number, name in enumerate(PUBLISHED_ORDER)}
    return sorted(names, key=lambda name: (place.get(name, len(place)), name))


def read_fdu(folder: Path, names: Sequence[str]) -> tuple[Task, ...]:
    """Return these tasks, or raise one `ConfigError` for all faults of all their files."""
    return read_each(names, lambda name: _read_task(folder, name))


def _read_task(folder: Path, name: str) -> Task:
    faults: list[str] = []
    parts: dict[str, RowFile] = {}
    with gathered(faults):
        parts |= _read_train_and_dev(_existing(folder, name, TRAIN))
    with gathered(faults):
        parts["test"] = _read_file(_existing(folder, name, TEST))[0]
    return make_task(name, parts, faults=faults)


def _existing(folder: Path, name: str, end: str) -> Path:
    path = folder / f"{name}{end}"
    if not path.exists():
        files = [other.name for other in folder.iterdir() if other.name.endswith(end)]
        raise ConfigError(f"task {name!r}: no file {path}{suggest(path.name, files)}")
    return path


def _read_train_and_dev(path: Path) -> dict[str, RowFile]:
    whole, n_lines = _read_file(path)
    if n_lines <= N_DEV_LINES:
        wanted = f"more than {N_DEV_LINES} are needed, since the last {N_DEV_LINES} are dev"
        raise ConfigError(f"{path}: {n_lines} lines; {wanted}")
    cut = n_lines - N_DEV_LINES  # by lines, not by rows: a dropped row moves nothing into dev
    train = tuple(row for row in whole.rows if row.line <= cut)
    dev = tuple(row for row in whole.rows if row.line > cut)
    return {
        "train": RowFile(source=whole.source, rows=train, notes=whole.notes),
        "dev": RowFile(source=whole.source, rows=dev),
    }


def _read_file(path: Path) -> tuple[RowFile, int]:
    lines, notes = read_lines(path)
    return collect(_parse(lines), str(path), notes=notes), len(lines)


def _parse(lines: list[str]) -> Iterator[Row | Malformed]:
    for number, line in enumerate(lines, start=1):
        label, tab, text = line.partition("\t")
        if not tab or "\t" in text:
            n_tabs = line.count("\t")
            yield Malformed(number, f"{n_tabs} tabs, where LABEL<TAB>TEXT has one")
        elif not label.strip():
            yield Malformed(number, "the label before the tab is empty")
        else:
            yield Row(number, label.strip(), text)
