"""Whether a pass is computed as on a GPU, and whether the kernels of this package can run there.

Triton's interpreter stands in for a GPU in tests, which set `interpreted`.
"""

from functools import cache
from importlib.util import find_spec

import torch

interpreted = False


def as_on_gpu(device: torch.device) -> bool:
    """Whether a few large operations are faster than many small ones."""
    return device.type == "cuda" or interpreted


def usable(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the kernels compute in this type; where not, PyTorch's own operations do."""
    return as_on_gpu(device) and _has_triton() and dtype is not torch.float64


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None  # it comes with PyTorch's builds for CUDA on Linux
