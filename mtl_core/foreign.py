"""Folders that somebody else may have made: what is read of them is bounded, and stays inside them.

Nothing in this program unpickles; files are JSON, YAML, Parquet or safetensors. Here is the rest: a
file that is far larger than any of its kind is not read at all, and a link out of a study's or a
model's folder is not followed, since what is written or deleted there would be elsewhere.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mtl_core.errors import ConfigError

MOST_JSON_BYTES = 16 << 20  # of a configuration or an index of shards
_MOST_NAME_BYTES, _ROOM_FOR_ENDINGS = 255, 55  # what file systems take
MOST_TOKENIZER_BYTES = 256 << 20  # the largest in use have some 30 MB


def read_bounded(path: Path, most: int) -> str:
    """Return the text of a file.

    Raises:
        ConfigError: It has more than `most` bytes.
        OSError, UnicodeDecodeError: It cannot be read, or is no UTF-8.
    """
    check_size(path, most)
    return path.read_text(encoding="utf-8")


def parse_json(text: str | bytes) -> Any:
    """Return what a text of JSON says; raises `ValueError` also where it is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(str(error)) from None


def read_json(path: Path) -> Any:
    """Return what a JSON file says.

    Raises:
        ConfigError: It is no JSON, or has more than `MOST_JSON_BYTES`.
        OSError: It cannot be read.
    """
    check_size(path, MOST_JSON_BYTES)
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON ({error})") from None


def read_object(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; an empty one where there is none, or the file is lost."""
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def check_size(path: Path, most: int) -> None:
    """Raise a `ConfigError` for a file of more than `most` bytes, before anybody reads it."""
    size = path.stat().st_size
    if size > most:
        raise ConfigError(f"{path}: found {size:,} bytes, at most {most:,} would be right")


def expanded(name: str) -> Path:
    """Return the path with a home folder in place of "~".

    One that there is not stays as it is written, for who looks for it to name; `Path.expanduser`
    ends the program with an error of its own.
    """
    return Path(os.path.expanduser(name))


def path_of(folder: Path, name: str, ending: str = "") -> Path:
    """Return the path of what has a name in a folder: how all names become files.

    Raises:
        ConfigError: What the name (of a task, trial, study, from whatever file) makes is no single
            name of a file: it leads elsewhere, is hidden, or is not one that systems take.
    """
    fault = name_fault(name)
    if fault is not None or len((name + ending).encode()) > _MOST_NAME_BYTES:
        raise ConfigError(f"{folder}: found {name[:60]!r}, {fault or 'too long'}, as a name in it")
    return folder / f"{name}{ending}"


def name_fault(name: str) -> str | None:
    """Say why a name can be none of a file, or None."""
    if not name or name.startswith("."):
        return "empty or hidden"
    if not name.isprintable() or any(mark in name for mark in "/\\"):
        return "with a separator or a sign that cannot be printed"
    if len(name.encode("utf-8", "replace")) > _MOST_NAME_BYTES - _ROOM_FOR_ENDINGS:
        return "too long"
    return None


def check_inside(folder: Path, names: Iterable[str]) -> None:
    """Have files and folders of `folder` be in it themselves, not by a link to another place.

    Raises:
        ConfigError: Names all that lead out of it.
    """
    home = folder.resolve()
    faults = [
        f"{folder / name}: leads out of its folder, to {where}; a file or folder of its own would "
        "be right"
        for name in names
        if not (where := (folder / name).resolve()).is_relative_to(home)
    ]
    if faults:
        raise ConfigError(faults)
