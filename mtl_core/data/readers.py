"""Read the tasks that a study names into a `Corpus`, wherever they are.

`data.source` is the built-in corpus, a task file in YAML (`task_files.py`), a folder that holds
one, or a folder in one of the known layouts (`layouts.py`). Whatever is wrong with the data is one
`ConfigError` with all faults, so that a user mends them in one go. Only the tasks that the
configuration names are read.
"""

from collections import Counter

from mtl_core.data.config import DataConfig
from mtl_core.data.layouts import existing_folder, open_folder
from mtl_core.data.overlap import exclude_overlap
from mtl_core.data.task import Corpus
from mtl_core.data.task_files import ENDINGS, TASK_FILE, read_task_file
from mtl_core.errors import ConfigError, check_names
from mtl_core.foreign import expanded

BUILTIN = "builtin"
WHERE = "data.source"


def read_corpus(config: DataConfig) -> Corpus:
    """Return the tasks that `config` names, with their rows; all faults are one `ConfigError`."""
    _check(config)
    try:
        corpus = _read(config)
    except OSError as error:  # no access, or names that no file can have
        place = str(error.filename or config.source)
        raise ConfigError(f"{place[:200]}: cannot be read: {error.strerror or error}") from None
    return exclude_overlap(corpus) if config.exclude_overlap else corpus


def _read(config: DataConfig) -> Corpus:
    if config.source == BUILTIN:
        from mtl_core.data.synthetic import generate

        return generate(config.builtin).select(config.tasks)
    path = expanded(config.source)
    if path.suffix in ENDINGS and not path.is_dir():
        return read_task_file(path, config, open_folder)
    folder = existing_folder(config.source, WHERE)
    if (folder / TASK_FILE).is_file():
        return read_task_file(folder / TASK_FILE, config, open_folder)
    layout = open_folder(config.source, WHERE)
    check_names(config.tasks, layout.names, where=f"data.tasks, in {folder}")
    tasks = layout.read(config.tasks or layout.default, config)
    return Corpus(tasks=tasks, layout=layout.name, source=str(folder))


def _check(config: DataConfig) -> None:
    if not config.source:
        raise ConfigError(f'{WHERE}: is empty; a folder, a task file or "{BUILTIN}" is wanted')
    repeated = [name for name, count in Counter(config.tasks).items() if count > 1]
    if repeated:
        raise ConfigError(f"data.tasks: named more than once: {', '.join(repeated)}")
