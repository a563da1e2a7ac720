"""Runs of places cut into tiles, one for each program of a kernel: none is in two runs.

Shapes: P places, R runs.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

_STAGED = 1 << 16  # bytes; the driver copies more than that only when all work before is done
ALIGNMENT = 8  # numbers; a grouped product on a GPU wants rows that are multiples of 16 bytes
Bounds = tuple[tuple[int, int], ...]  # of each run: its first place, and the one after its last


@lru_cache(maxsize=64)
def tiles_of(bounds: Bounds, rows: int, device: torch.device) -> Tensor:
    """Return run, first place and the place after the last of each tile, (tiles, 3) int32."""
    starts, ends = (np.array(side, dtype=np.int64) for side in zip(*bounds, strict=True))
    run, number = numbered(-(-(ends - starts) // rows))
    first = starts[run] + number * rows
    return to_device(np.stack([run, first, np.minimum(first + rows, ends[run])], axis=1), device)


def numbered(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return 0 0 0 1 1 ... and 0 1 2 0 1 ...: so many of each, and their numbers."""
    of = np.repeat(np.arange(len(counts)), counts)
    return of, np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)


def to_device(numbers: np.ndarray, device: torch.device) -> Tensor:
    """Return the numbers as int32 on the device."""
    return send(numbers.astype(np.int32), device)


def send(numbers: np.ndarray, device: torch.device) -> Tensor:
    """Return the same numbers on the device, without waiting for it."""
    tensor = torch.from_numpy(numbers)
    if device.type == "cuda" and tensor.nbytes > _STAGED:
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def aligned_like(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return room for as many numbers, (..., D), each row beginning at a multiple of 16 bytes.

    Products of a GPU want that, and would else copy what they are given.
    """
    *rows, width = x.shape
    whole = -(-width // ALIGNMENT) * ALIGNMENT
    return torch.empty(*rows, whole, dtype=dtype, device=x.device)[..., :width]


def as_words(values: Sequence[object] | np.ndarray) -> np.ndarray:
    """Return numbers of 32 bits as int32 with the same bits."""
    return np.asarray(values, dtype=np.uint32).view(np.int32)


def scale_as_words(values: np.ndarray) -> np.ndarray:
    """Return float32 numbers as int32 with the same bits."""
    return np.asarray(values, dtype=np.float32).view(np.int32)
