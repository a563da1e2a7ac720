"""A folder of files that are made once: whole or not at all, by any number of processes.

A file is written beside its place and renamed, so that of two processes that make the same one the
last wins and both are right, and a process that has mapped the old one keeps it. Where the usual
folder cannot be written, files go to a temporary one, and the log says so; a folder that the caller
named must be writable.
"""

import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from mtl_core.errors import ConfigError
from mtl_core.files import replacing

VARIABLE = "BRANCHPOINT_CACHE"

_log = logging.getLogger(__name__)


def keep(
    name: str, write: Callable[[Path], None], is_intact: Callable[[Path], bool], folder: Path | None
) -> Path:
    """Return the path of an intact file of that name, written now where there is none.

    Args:
        folder: Where it is kept; $BRANCHPOINT_CACHE or ~/.cache/branchpoint when None.
    """
    folders = _folders(folder)
    for place in folders:
        if is_intact(place / name):
            return place / name
    faults = []
    for place in folders:
        try:
            with replacing(place / name) as beside:
                write(beside)
        except OSError as error:
            faults.append(f"{place}: the encoded texts cannot be kept here ({error})")
            continue
        if faults:
            _log.warning("%s; they are kept in %s for now", faults[0], place)
        return place / name
    raise ConfigError([*faults, f"set {VARIABLE} to a folder that can be written and has room"])


def cache_folder() -> Path:
    """Return where files go that are made once and nobody named a place for."""
    return _folders(None)[0]


def _folders(folder: Path | None) -> list[Path]:
    if folder is not None:
        return [Path(folder)]
    if named := os.environ.get(VARIABLE):
        return [Path(named).expanduser()]
    usual = Path("~/.cache/branchpoint").expanduser()
    return [usual, Path(tempfile.gettempdir()) / f"branchpoint-{os.getuid()}"]
