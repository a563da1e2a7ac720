"""Library of branchpoint: text data, one encoder for every sharing plan, weighting, training."""

from importlib import import_module
from typing import Any

# Looked up on first use, so that importing the package costs nothing.
_EXPORTS = {"load": "mtl_core.training.export"}


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
