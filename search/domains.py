"""The values that a key can take: fixed, a choice, or a range of whole or real numbers.

A `Domain` whose bounds name another key (`n_layers - 1`) becomes one with numbers by `at(values)`;
only that one can be listed, drawn from, or be told to Optuna. A key holds `Alternative`s: domains
each with a condition, of which the first that holds applies.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


class Suggests(Protocol):
    """What is used of an `optuna.Trial`."""

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...
    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int: ...
    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...


@dataclass(frozen=True)
class Bound:
    """End of a range of whole numbers: a number, or another key's value minus a number."""

    number: int
    key: str | None = None

    def at(self, values: Mapping[str, Any]) -> int:
        """Return the number, given the values of all keys so far."""
        return self.number if self.key is None else int(values[self.key]) - self.number

    def __str__(self) -> str:
        if self.key is None:
            return str(self.number)
        name = self.key.rpartition(".")[2]
        return f"{name} - {self.number}" if self.number else name


@dataclass(frozen=True)
class Fixed:
    """One value, not searched."""

    value: Any

    def at(self, values: Mapping[str, Any]) -> "Fixed":  # noqa: ARG002
        return self

    def values(self) -> list[Any]:
        return [self.value]

    def contains(self, value: Any) -> bool:
        return same(value, self.value)

    def __str__(self) -> str:
        return plain(self.value)


@dataclass(frozen=True)
class Choice:
    """One of several values, without order."""

    options: tuple[Any, ...]
    dynamic = False

    def at(self, values: Mapping[str, Any]) -> "Choice":  # noqa: ARG002
        return self

    def values(self) -> list[Any]:
        return list(self.options)

    def contains(self, value: Any) -> bool:
        return any(same(value, option) for option in self.options)

    def sample(self, rng: np.random.Generator) -> Any:
        return self.options[int(rng.integers(len(self.options)))]

    def suggest(self, trial: Suggests, name: str) -> Any:
        return self.decode(trial.suggest_categorical(name, self._coded()))

    def distribution(self) -> "BaseDistribution":
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self._coded())

    def encode(self, value: Any) -> Any:
        """Return the value as Optuna holds it: lists and mappings as JSON text."""
        return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value

    def decode(self, coded: Any) -> Any:
        return next(v for v in self.options if same(self.encode(v), coded))

    def _coded(self) -> list[Any]:
        return [self.encode(value) for value in self.options]

    def __str__(self) -> str:
        return " | ".join(plain(value) for value in self.options)


@dataclass(frozen=True)
class IntRange:
    """Whole numbers from `low` to `high`, both included."""

    low: Bound
    high: Bound
    step: int = 1
    log: bool = False

    @property
    def dynamic(self) -> bool:
        return self.low.key is not None or self.high.key is not None

    def at(self, values: Mapping[str, Any]) -> "IntRange":
        low, high = self.low.at(values), self.high.at(values)
        high = low + (high - low) // self.step * self.step  # as Optuna would, which warns
        return replace(self, low=Bound(low), high=Bound(high))

    def values(self) -> range:
        return range(self.low.number, self.high.number + 1, self.step)

    def contains(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value in self.values()

    def sample(self, rng: np.random.Generator) -> int:
        low, high = self.low.number, self.high.number
        if not self.log:
            return low + self.step * int(rng.integers(len(self.values())))
        drawn = math.exp(rng.uniform(math.log(low - 0.5), math.log(high + 0.5)))
        return min(max(round(drawn), low), high)

    def suggest(self, trial: Suggests, name: str) -> int:
        low, high = self.low.number, self.high.number
        return int(trial.suggest_int(name, low, high, step=self.step, log=self.log))

    def distribution(self) -> "BaseDistribution":
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low.number, self.high.number, step=self.step, log=self.log)

    def encode(self, value: Any) -> int:
        return int(value)

    def decode(self, coded: Any) -> int:
        return int(coded)

    def __str__(self) -> str:
        return f"{self.low} .. {self.high}{_manner(self.step if self.step > 1 else None, self.log)}"


@dataclass(frozen=True)
class FloatRange:
    """Real numbers from `low` to `high`; with a `step`, those of a grid from `low` on."""

    low: float
    high: float
    step: float | None = None
    log: bool = False
    dynamic = False

    def at(self, values: Mapping[str, Any]) -> "FloatRange":  # noqa: ARG002
        return self

    def values(self) -> list[float] | None:
        """Return the grid; None where there is no step and so no end of values."""
        if self.step is None:
            return [self.low] if self.low == self.high else None
        return [self._grid(i) for i in range(self._n_steps() + 1)]

    def contains(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        inside = self.low <= value <= self.high
        return inside and (self.step is None or math.isclose(value, self._nearest(value)))

    def sample(self, rng: np.random.Generator) -> float:
        if self.step is not None:
            return self._grid(int(rng.integers(self._n_steps() + 1)))
        if not self.log:
            return float(rng.uniform(self.low, self.high))
        drawn = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return min(max(drawn, self.low), self.high)

    def suggest(self, trial: Suggests, name: str) -> float:
        high = self.high if self.step is None else self._grid(self._n_steps())
        return self.decode(trial.suggest_float(name, self.low, high, step=self.step, log=self.log))

    def distribution(self) -> "BaseDistribution":
        from optuna.distributions import FloatDistribution

        high = self.high if self.step is None else self._grid(self._n_steps())
        return FloatDistribution(self.low, high, step=self.step, log=self.log)

    def encode(self, value: Any) -> float:
        return float(value)

    def decode(self, coded: Any) -> float:
        return float(coded) if self.step is None else self._nearest(coded)

    def _n_steps(self) -> int:
        assert self.step is not None
        span = Decimal(repr(self.high)) - Decimal(repr(self.low))
        return int(span // Decimal(repr(self.step)))

    def _grid(self, i: int) -> float:
        return float(Decimal(repr(self.low)) + i * Decimal(repr(self.step)))

    def _nearest(self, value: float) -> float:
        assert self.step is not None
        return self._grid(min(max(round((value - self.low) / self.step), 0), self._n_steps()))

    def __str__(self) -> str:
        return f"{self.low:g} .. {self.high:g}{_manner(self.step, self.log)}"


Domain = Fixed | Choice | IntRange | FloatRange
Searched = Choice | IntRange | FloatRange


@dataclass(frozen=True)
class Alternative:
    """A domain, and the values of other keys under which it applies; all of them must hold."""

    domain: Domain
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it applies, given the values of all keys so far."""
        return all(any(same(values[key], v) for v in allowed) for key, allowed in self.when)

    def as_yaml(self) -> Any:
        """Return what a space file says of it."""
        written = _written(self.domain)
        if not self.when:
            return written["fixed"] if isinstance(self.domain, Fixed) else written
        return {**written, "when": {key: list(allowed) for key, allowed in self.when}}

    def needs(self) -> set[str]:
        """Return the keys that must have a value before this one."""
        ends = (self.domain.low, self.domain.high) if isinstance(self.domain, IntRange) else ()
        return {key for key, _ in self.when} | {end.key for end in ends if end.key is not None}


def same(left: Any, right: Any) -> bool:
    """Whether two plain values are the same; true is not 1, but 1.0 is."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def plain(value: Any) -> str:
    """Return a value as YAML would have it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _written(domain: Domain) -> dict[str, Any]:
    if isinstance(domain, Fixed):
        return {"fixed": domain.value}
    if isinstance(domain, Choice):
        return {"choice": list(domain.options)}
    if isinstance(domain, IntRange):
        ends = [end.number if end.key is None else str(end) for end in (domain.low, domain.high)]
        written: dict[str, Any] = {"int": ends, "step": domain.step if domain.step > 1 else None}
    else:
        written = {"float": [domain.low, domain.high], "step": domain.step}
    written["log"] = domain.log or None
    return {name: value for name, value in written.items() if value is not None}


def _manner(step: float | None, log: bool) -> str:
    return (f", step {step:g}" if step else "") + (", log" if log else "")
