"""`branchpoint builtin`: the built-in corpus as files, to look at and to try."""

from collections.abc import Sequence
from pathlib import Path

from mtl_core.data.synthetic import generate, planted_truth, write_folders
from mtl_core.errors import ConfigError
from search.space import parse_space


def write_builtin(folder: Path, *, overrides: Sequence[str] = ()) -> None:
    """Write `TASK/{train,dev,test}.tsv` for every task and `planted_truth.json`.

    Args:
        folder: Made here; one that holds anything is refused.
        overrides: `KEY=VALUE` for keys of `data.builtin`, such as `data.builtin.n_tasks=4`.

    Raises:
        ConfigError: The settings are at fault, or the folder is not empty.
    """
    space = parse_space("name: builtin\n", source="builtin", overrides=overrides)
    config = space.data.builtin
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: is not empty; a new folder would be right")
    write_folders(generate(config), planted_truth(config), folder)
