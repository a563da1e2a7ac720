"""Configurations, each kept as what differs from the first: trials differ in a few of some fifty.

What is handed out is to be read only; parts in which nothing differs are one object for all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Config = dict[str, Any]
Path = tuple[str, ...]  # a section, and mostly a key in it


class KeptConfigs:
    """Takes in objects of JSON."""

    def __init__(self) -> None:
        self._first: Config = {}
        self._texts: dict[Path, str] = {}  # of its values, where 1 and 1.0 differ

    def keep(self, config: Config) -> "KeptConfig":
        """Take one in; one with other keys than the first is the first of those after it."""
        leaves = dict(_leaves(config))
        texts = {path: repr(value) for path, value in leaves.items()}
        if texts.keys() != self._texts.keys():
            self._first, self._texts = config, texts
        differ: list[Any] = []
        for path, text in self._texts.items():
            if texts[path] != text:
                differ += path, leaves[path]
        return KeptConfig(self._first, tuple(differ))


@dataclass(frozen=True, slots=True)
class KeptConfig:
    """One configuration.

    Args:
        first: The one that it is kept beside.
        differ: A path of keys and the value there, in turns, for each that differs.
    """

    first: Config
    differ: tuple[Any, ...]

    def whole(self) -> Config:
        """Return the configuration."""
        made = self.first
        for path, value in zip(self.differ[::2], self.differ[1::2], strict=True):
            made = _changed(made, path, value)
        return made


def _changed(config: Config, path: Path, value: Any) -> Config:
    section, *keys = path
    for key in keys:
        value = {**config[section], key: value}
    return {**config, section: value}


def _leaves(config: Config) -> Iterator[tuple[Path, Any]]:
    """Return the values of each section with their paths, whatever they are."""
    for section, part in config.items():
        if isinstance(part, dict) and part:
            yield from (((section, key), value) for key, value in part.items())
        else:
            yield (section,), part
