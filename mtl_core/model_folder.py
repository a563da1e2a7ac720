"""A pretrained model's folder: a local one, or one that the Hugging Face hub has under a name.

A name is looked up in the hub's local cache first, and downloaded only where it is not there as a
whole. What cannot be had is a `ConfigError` that says what to run where.
"""

import os
import re
from pathlib import Path

from mtl_core.errors import ConfigError
from mtl_core.foreign import expanded, read_object

_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")  # NAME, or OWNER/NAME
CONFIG, TOKENIZER = "config.json", "tokenizer.json"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"  # whole, or of shards
_POINTER = b"version https://git-lfs"
_FILES = [CONFIG, TOKENIZER, "*.safetensors", "*.safetensors.index.json"]


def folder_of(name: str, where: str, *, only_tokenizer: bool = False) -> Path:
    """Return the folder of a model.

    Args:
        name: A folder, or a name on the hub.
        where: Names the key in messages.
        only_tokenizer: Take what is in the hub's cache also where that is all there is.
    """
    folder = expanded(name)
    if os.path.isdir(folder):
        return folder
    if os.path.exists(folder) or not _NAME.fullmatch(name):
        found = "a file" if os.path.exists(folder) else "no such folder"
        raise ConfigError(
            f"{where}: found {name!r}, {found}; a folder with config.json, tokenizer.json and "
            "model.safetensors, or a name on the Hugging Face hub would be right"
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise ConfigError(_advice(name, where, "huggingface_hub is not installed")) from None
    try:
        cached = Path(snapshot_download(name, allow_patterns=_FILES, local_files_only=True))
        if _is_whole(cached) or (only_tokenizer and (cached / TOKENIZER).is_file()):
            return cached
    except Exception:  # it is not in the cache; the library raises many kinds
        pass
    try:
        return Path(snapshot_download(name, allow_patterns=_FILES))
    except Exception as error:  # offline, no such name, no right to it
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ConfigError(_advice(name, where, reason)) from None


def model_files(folder: Path) -> list[Path]:
    """Return the files that a model is read from, also those that are not there."""
    weights = [WEIGHTS]
    if (folder / INDEX).is_file() and not (folder / WEIGHTS).is_file():
        shards = read_object(folder / INDEX).get("weight_map")
        if isinstance(shards, dict):
            weights = [INDEX, *sorted(set(map(str, shards.values())))]
    return [folder / name for name in (CONFIG, TOKENIZER, *weights)]


def pointer_hint(path: Path) -> str:
    """Return what more there is to say of a file that cannot be read: a clone may lack it."""
    try:
        with path.open("rb") as file:
            is_pointer = file.read(len(_POINTER)) == _POINTER
    except OSError:
        return ""
    return "; git left a pointer to the file here, `git lfs pull` fetches it" if is_pointer else ""


def _is_whole(folder: Path) -> bool:
    """Whether all files of a model are there; other programs may have fetched some of them."""
    return all(path.is_file() for path in model_files(folder))


def _advice(name: str, where: str, reason: str) -> str:
    return (
        f"{where}: found {name!r}, which is no folder here and cannot be had from the Hugging Face "
        f"hub ({reason}); run `hf download {name} --local-dir DIR` where there is a network "
        '(pip install "branchpoint[hub]"), and name DIR instead'
    )
