"""Whether a pass is computed as on a GPU, and whether the kernels of this package can run there.

Triton's interpreter stands in for a GPU in tests, which set `interpreted`.
"""

import sys
from functools import cache
from importlib.util import find_spec

import torch

interpreted = False


def as_on_gpu(device: torch.device) -> bool:
    """Whether a few large operations are faster than many small ones."""
    return device.type == "cuda" or interpreted


def usable(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the kernels compute in this type; where not, PyTorch's own operations do."""
    there = as_on_gpu(device) and _has_triton() and dtype is not torch.float64
    return there and (device.type != "cuda" or is_recent(device))


@cache
def is_recent(device: torch.device) -> bool:
    """Whether a GPU computes products in bfloat16, and Triton knows it (Ampere and later)."""
    return torch.cuda.get_device_capability(device) >= (8, 0)


@cache
def shared_memory(device: torch.device) -> int:
    """Return the bytes of shared memory that a program of a kernel may have."""
    if device.type != "cuda":
        return sys.maxsize
    about = torch.cuda.get_device_properties(device)
    return int(getattr(about, "shared_memory_per_block_optin", about.shared_memory_per_block))


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None  # it comes with PyTorch's builds for CUDA on Linux
