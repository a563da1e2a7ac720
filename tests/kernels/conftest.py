"""Kernels run on the GPU where there is one, else in Triton's interpreter on the CPU."""

import importlib.util

import pytest
import torch

from mtl_core.kernels import usable


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    if importlib.util.find_spec("triton") is None:
        pytest.skip("needs Triton, which comes with PyTorch for CUDA")
    if torch.cuda.is_available():
        return torch.device("cuda")
    monkeypatch.setattr(usable, "interpreted", True)
    return torch.device("cpu")
