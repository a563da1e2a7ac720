"""The program: reads spaces, drives Ray Tune and Optuna, writes results."""

from importlib import import_module
from typing import Any

# Looked up on first use, so that the command line starts at once.
_EXPORTS = {"run_search": "search.end_to_end", "open_study": "search.study"}


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
