"""A training on disk: one safetensors file with a JSON header, and no pickle.

All that is random in a training follows from the seed, the epoch and the step, so parameters,
moments, step counts and what the weighting learned are enough to continue to the same bits.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mtl_core.errors import ConfigError
from mtl_core.files import replacing
from mtl_core.foreign import parse_json
from mtl_core.tensor_file import read_tensors, write_tensors

FORMAT = 2


@dataclass(frozen=True)
class Checkpoint:
    """`about`: plain JSON values; `tensors`: by name, on any device."""

    about: dict[str, Any]
    tensors: dict[str, Tensor]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the file, whole or not at all."""
    about = json.dumps({"format": FORMAT, **checkpoint.about})
    with replacing(path) as beside:
        write_tensors(beside, checkpoint.tensors, about)


def read_checkpoint(path: Path) -> Checkpoint:
    """Return what `write_checkpoint` wrote; raises `ConfigError` where it is not that."""
    tensors, text = read_tensors(path)
    try:
        about = parse_json(text)
        found = about["format"]
    except (KeyError, TypeError, ValueError):
        raise ConfigError(f"{path}: not a checkpoint of branchpoint") from None
    if found != FORMAT:
        raise ConfigError(f"{path}: checkpoint format {found}, must be {FORMAT}")
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


def check_complete(found: Checkpoint, wanted: Iterable[str], kept: Iterable[str]) -> None:
    """Raise a `ConfigError` where a tensor is missing.

    Args:
        wanted: Names of tensors, those of the best epochs left out.
        kept: Names of the parameters that each of the best epochs is to have.
    """
    missing = sorted(set(wanted) - found.tensors.keys())
    if missing:
        raise ConfigError(f"checkpoint: has no {', '.join(missing)}")
    for epoch in sorted({entry["epoch"] for entry in found.about["best"].values()}):
        if not set(kept) <= unpack(f"best{epoch}", found.tensors).keys():
            raise ConfigError(
                f"checkpoint: has no parameters of epoch {epoch}, which is among the best; of a "
                "lane that kept none, restore with keep_best=False would be right"
            )


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
