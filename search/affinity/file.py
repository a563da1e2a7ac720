"""`affinity.json` in a study's folder: what it is called, and what of it can be read back."""

import json
from pathlib import Path
from typing import Any

AFFINITY = "affinity.json"
FORMAT = 1
LOOK_AHEAD, COSINE, ATTENTION = "look_ahead", "gradient_cosine", "attention"
ROUTES = (LOOK_AHEAD, COSINE, ATTENTION)


def read_affinity(folder: Path) -> dict[str, Any]:
    """Return what the file holds; nothing where there is none, or it is not one of ours."""
    try:
        found = json.loads((folder / AFFINITY).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and found.get("format") == FORMAT else {}
