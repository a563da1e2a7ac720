"""A training on disk: one safetensors file with a JSON header, and no pickle.

All that is random in a training follows from the seed, the epoch and the step, so parameters,
moments, step counts and what the weighting learned are enough to continue to the same bits.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mtl_core.errors import ConfigError
from mtl_core.files import replacing
from mtl_core.foreign import parse_json

FORMAT = 2
_KEY, _DIGEST = "branchpoint", "blake2b"


@dataclass(frozen=True)
class Checkpoint:
    """`about`: plain JSON values; `tensors`: by name, on any device."""

    about: dict[str, Any]
    tensors: dict[str, Tensor]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the file, whole or not at all."""
    about = json.dumps({"format": FORMAT, **checkpoint.about})
    # Parameters may be views that stand side by side, which the format does not take.
    tensors = {name: _apart(tensor) for name, tensor in checkpoint.tensors.items()}
    with replacing(path) as beside:
        save_file(tensors, beside, metadata={_KEY: about, _DIGEST: _digest(about, tensors)})


def read_checkpoint(path: Path) -> Checkpoint:
    """Return what `write_checkpoint` wrote; raises `ConfigError` where it is not that."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file, must be a checkpoint")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            text, about = metadata[_KEY], parse_json(metadata[_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError) as error:
        raise ConfigError(f"{path}: not a checkpoint of branchpoint ({error})") from None
    if about.get("format") != FORMAT:
        raise ConfigError(f"{path}: checkpoint format {about.get('format')}, must be {FORMAT}")
    if metadata.get(_DIGEST) != _digest(text, tensors):
        raise ConfigError(f"{path}: is damaged, its checksum is another; delete it")
    return Checkpoint(about, tensors)


def pack(section: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under names that begin with the section; `unpack` finds them again."""
    return {f"{section}/{name}": tensor for name, tensor in tensors.items()}


def unpack(section: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a section by their own names."""
    prefix = f"{section}/"
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def check_same_trial(found: Mapping[str, Any], wanted: Mapping[str, Any], source: str) -> None:
    """Raise a `ConfigError` with every value in which `found` differs from `wanted`."""
    ours = dict(_leaves(wanted))
    theirs = dict(_leaves({key: found.get(key) for key in wanted}))
    faults = [
        f"{source}: {key} is {theirs.get(key)!r} there and {ours.get(key)!r} here"
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key) != theirs.get(key)
    ]
    if faults:
        raise ConfigError(faults)


def _digest(about: str, tensors: Mapping[str, Tensor]) -> str:
    """Return the checksum of the header and of all tensors, whatever their order."""
    found = hashlib.blake2b(about.encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _apart(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
