"""Which engine trains which trial, and how many at a time: what the driver keeps of its engines.

Nothing here touches the cluster (`engine_pool.py` does). An engine without a trial comes first, so
that none stands idle; then the one with the most free lanes, where one that trains trials of the
same family already, which go through its layers in one pass, may have a lane less. So engines fill
up evenly, and turn to another family as the trials of the former end.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.config import SearchConfig

LARGEST = 64  # lanes that a calibration goes up to
TPE_SHARE = 5  # one trial in so many at a time, when TPE learns from those before
_FAMILY = (
    *("d_model", "d_word", "n_heads", "d_ff", "n_types"),
    *("norm", "norm_eps", "activation", "precision"),
)
_SAME_FAMILY = 1.5  # free lanes that it is worth

Family = tuple[Any, ...]


@dataclass(frozen=True)
class Place:
    """Where a trial trains; `lane` names this run of it, and none before or after."""

    engine: str
    lane: str


class Lanes:
    """Places for trials.

    Args:
        engines: Their names.
        each: Lanes of one engine.
        limit: Trials at a time; None: as many as there are lanes.

    Attributes:
        down: Engines that are not up yet; they get no trial.
        study: Whose engines they are; a part of their names on the cluster.
    """

    study = ""

    def __init__(self, engines: Sequence[str], each: int = 1, limit: int | None = None) -> None:
        self.engines, self.each, self.limit = tuple(engines), each, limit
        self.down: set[str] = set()
        self._places: dict[str, tuple[Place, Family]] = {}  # by trial
        self._n_placed = 0

    @property
    def total(self) -> int:
        """Trials at a time, when all engines are up."""
        most = self.each * len(self.engines)
        return most if self.limit is None else min(most, self.limit)

    @property
    def n_used(self) -> int:
        """Trials that have a place now."""
        return len(self._places)

    def free(self) -> int:
        """Return how many more trials may begin now."""
        up = [engine for engine in self.engines if engine not in self.down]
        lanes = sum(max(0, self.each - len(self._families(engine))) for engine in up)
        return max(0, min(lanes, self.total - len(self._places)))

    def place(
        self, trial: str, config: Mapping[str, Any], *, apart_from: Iterable[str] = ()
    ) -> Place:
        """Return where a trial of that configuration trains from now on, and take note of it.

        Args:
            apart_from: Trials whose engines are taken only where there is no other, be it one that
                is not up yet.
        """
        family = family_of(config)
        taken = {place.engine for place in map(self.of, apart_from) if place is not None}
        up = [engine for engine in self.engines if engine not in self.down] or self.engines
        if taken:
            up = [engine for engine in self.engines if engine not in taken] or up
        engine = max(up, key=lambda engine: self._suits(engine, family))
        self._n_placed += 1
        place = Place(engine, f"{trial}.{self._n_placed}")
        self._places[trial] = (place, family)
        return place

    def of(self, trial: str) -> Place | None:
        """Return where a trial is; None where it is not, or no longer."""
        held = self._places.get(trial)
        return held[0] if held else None

    def release(self, trial: str, *, keep: bool = False) -> Place | None:  # noqa: ARG002
        """Forget a trial; return where it was.

        Args:
            keep: It has not ended, and somebody will go on with it.
        """
        held = self._places.pop(trial, None)
        return held[0] if held else None

    def _suits(self, engine: str, family: Family) -> tuple[bool, float]:
        families = self._families(engine)
        return not families, self.each - len(families) + _SAME_FAMILY * (family in families)

    def _families(self, engine: str) -> list[Family]:
        return [family for place, family in self._places.values() if place.engine == engine]


def family_of(config: Mapping[str, Any]) -> Family:
    """Return what trials must agree in to share a pass, as `mtl_core.model.forward.family` does.

    Args:
        config: `TrialConfig.as_dict()`.
    """
    return tuple(config["encoder"].get(key) for key in _FAMILY)


def most_lanes(search: SearchConfig, n_engines: int) -> int:
    """Return how many lanes an engine may have at most, whatever the machine could bear.

    TPE learns from the trials before: of those that run at a time each is proposed blindly.
    """
    limits = [LARGEST, math.ceil(search.trials / n_engines)]
    if search.workers is not None:
        limits.append(math.ceil(search.workers / n_engines))
    if search.sampler == "tpe":
        limits.append(search.trials // TPE_SHARE // n_engines)
    return max(1, min(limits))


def in_words(lanes: Lanes) -> str:
    """Return such as "2 engines x 3 lanes"."""
    n = len(lanes.engines)
    words = f"{_count(n, 'engine')} x {_count(lanes.each, 'lane')}"
    limited = lanes.total < n * lanes.each
    return words + (f", at most {_count(lanes.total, 'trial')} at a time" if limited else "")


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def names(n_engines: int) -> list[str]:
    """Return the names of that many engines."""
    return [f"engine{number}" for number in range(1, n_engines + 1)]
