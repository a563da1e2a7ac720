"""Tensors on disk: safetensors with a text beside them, and a checksum of both.

A disk that gives back another byte than it was given is found when the file is read, and not by a
model that answers a little worse.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mtl_core.errors import ConfigError

_TEXT, _DIGEST = "branchpoint", "blake2b"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], text: str = "") -> None:
    """Write the file.

    Args:
        tensors: By name, on any device; views that stand side by side are written apart.

    Raises:
        OSError, SafetensorError: The disk is full, or the file may not be written.
    """
    apart = {name: _apart(tensor) for name, tensor in tensors.items()}
    save_file(apart, path, metadata={_TEXT: text, _DIGEST: _digest(text, apart)})


def read_tensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """Return the tensors, on the CPU, and the text.

    Raises:
        ConfigError: There is no such file, it is not one that `write_tensors` wrote, or damaged.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such file, must hold tensors")
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            text, digest = about[_TEXT], about[_DIGEST]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ConfigError(
            f"{path}: not a file of branchpoint, or cut off ({' '.join(str(error).split())})"
        ) from None
    if digest != _digest(text, tensors):
        raise ConfigError(f"{path}: is damaged, its checksum is another; delete it")
    return tensors, text


def digest_of(text: str) -> str:
    """Return the checksum of a text that lies in a file of its own."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Return the checksum of the text and of all tensors, whatever their order."""
    found = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _apart(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
