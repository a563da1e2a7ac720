"""Equal parts of many configurations, held once: trials differ in a few values of some fifty."""

import sys
from typing import Any


class SharedParts:
    """Hands out objects of JSON whose equal parts are one object, to be read only."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def of(self, value: dict[str, Any]) -> dict[str, Any]:
        """Return an equal object, its parts shared with what was asked for before."""
        return {sys.intern(key): self._shared(part) for key, part in value.items()}

    def _shared(self, part: Any) -> Any:
        if isinstance(part, str):
            return sys.intern(part)
        if isinstance(part, dict):
            part = self.of(part)
        elif not isinstance(part, list):
            return part
        return self._known.setdefault(repr(part), part)  # 1, 1.0 and True are not the same
