"""`affinity.json` in a study's folder: what it is called, and what of it can be read back."""

from pathlib import Path
from typing import Any

from mtl_core.foreign import read_object

AFFINITY = "affinity.json"
FORMAT = 1
LOOK_AHEAD, COSINE, ATTENTION = "look_ahead", "gradient_cosine", "attention"
ROUTES = (LOOK_AHEAD, COSINE, ATTENTION)


def read_affinity(folder: Path) -> dict[str, Any]:
    """Return what the file holds; nothing where there is none, or it is not one of ours."""
    found = read_object(folder / AFFINITY)
    return found if found.get("format") == FORMAT else {}
