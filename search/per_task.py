"""One number for each task, eight bytes each: a driver keeps two of these for every epoch."""

import math
from array import array
from collections.abc import Iterator, Mapping
from functools import lru_cache
from sys import intern


class PerTask(Mapping[str, float]):
    """The numbers of some tasks; NaN where there was None.

    A dict of sixteen floats takes six times as much.
    """

    __slots__ = ("_numbers", "_places")

    def __init__(self, numbers: Mapping[str, float | None]) -> None:
        self._places = _places(tuple(numbers))
        self._numbers = array("d", [number(value) for value in numbers.values()])

    def __getitem__(self, task: str) -> float:
        return self._numbers[self._places[task]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __repr__(self) -> str:
        return repr(dict(self))


def number(value: float | None) -> float:
    """Return a number of the journal, which has null for NaN."""
    return math.nan if value is None else float(value)


@lru_cache
def _places(tasks: tuple[str, ...]) -> dict[str, int]:
    return {intern(task): place for place, task in enumerate(tasks)}
