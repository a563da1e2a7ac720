"""Collects what is wrong with a YAML file, each fault with its place, for one `ConfigError`."""

from dataclasses import dataclass, field

from mtl_core.errors import ConfigError
from mtl_core.yaml_lines import Document, KeyPath, Place

SHOWN = 200  # faults of one file; a terminal holds no more


@dataclass
class Faults:
    """The faults of one document, in the order found; `broken` are the keys that have some."""

    document: Document
    found: list[tuple[Place, str]] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def add(self, path: KeyPath, message: str, *, key: str | None = None) -> None:
        """Note a fault at `path`; `key` is named in place of the path's own names."""
        names = [part for part in path[:2] if isinstance(part, str)]
        name = key or ".".join(names)
        self.broken.add(".".join(names))
        self.found.append((self.document.place(path), f"{name}: {message}" if name else message))

    def lines(self) -> list[str]:
        """Return one message a fault, by line; what came by `--set` last."""
        by_line = sorted(self.found, key=lambda f: (f[0].line is None, f[0].line or 0))
        lines = list(dict.fromkeys(f"{place}: {message}" for place, message in by_line))
        more = [f"and {len(lines) - SHOWN} more faults"] if len(lines) > SHOWN else []
        return [*lines[:SHOWN], *more]

    def raise_any(self) -> None:
        if self.found:
            raise ConfigError(self.lines())
