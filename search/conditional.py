"""Keys in an order in which conditions and bounds can be decided: walk, list and count them.

A value is asked for only where its key is active; a key that is not takes its default. Whatever
gives a space its values (a sampler, a point, a record) is a `pick` function handed to `walk`.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from search.domains import Alternative, Fixed, Searched

COUNTED = 20_000  # combinations that are told apart when a space is counted


@dataclass(frozen=True)
class Entry:
    """A key of a space, with its alternatives and the default it takes when none applies."""

    key: str
    alternatives: tuple[Alternative, ...]
    default: Any

    @property
    def searched(self) -> bool:
        return any(not isinstance(a.domain, Fixed) for a in self.alternatives)

    @property
    def always(self) -> bool:
        """Whether one of the alternatives applies in any case."""
        return any(not a.when for a in self.alternatives)

    def needs(self) -> set[str]:
        return set().union(*(a.needs() for a in self.alternatives))

    def as_yaml(self) -> Any:
        """Return what a space file says of the key."""
        written = [alternative.as_yaml() for alternative in self.alternatives]
        return written[0] if len(written) == 1 else written

    def active(self, values: Mapping[str, Any]) -> "Active | None":
        """Return the first alternative that holds, its bounds as numbers."""
        for i, alternative in enumerate(self.alternatives):
            if alternative.holds(values):
                return Active(self, i, alternative.domain.at(values))
        return None


@dataclass(frozen=True)
class Active:
    """The alternative of a key that applies; its domain has no open bound."""

    entry: Entry
    index: int
    domain: Fixed | Searched

    @property
    def name(self) -> str:
        """Optuna's name: one name has one distribution, whatever other keys are.

        `sharing.divergence_depth/2:0..3` is the second alternative, at bounds that depend.
        """
        of = f"/{self.index + 1}" if len(self.entry.alternatives) > 1 else ""
        stated = self.entry.alternatives[self.index].domain
        bounds = ""
        if not isinstance(stated, Fixed) and stated.dynamic:
            listed = self.domain.values()
            assert listed is not None
            bounds = f":{listed[0]}..{listed[-1]}"
        return f"{self.entry.key}{of}{bounds}"


Pick = Callable[[Active], Any]
_States = Counter[tuple[str, ...]]  # values as JSON, so that lists can be told apart


@dataclass(frozen=True)
class Conditional:
    """The keys of a space in order: each stands after those that decide over it.

    Args:
        entries: Every key that the space states, and none twice.
        defaults: Of all keys that may be searched.
    """

    entries: tuple[Entry, ...]
    defaults: Mapping[str, Any]

    def walk(self, pick: Pick) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the searched, active values that `pick` gave, and the values of all keys."""
        resolved = dict(self.defaults)
        values: dict[str, Any] = {}
        for entry in self.entries:
            active = entry.active(resolved)
            if active is None:
                resolved[entry.key] = entry.default
            elif isinstance(active.domain, Fixed):
                resolved[entry.key] = active.domain.value
            else:
                values[entry.key] = resolved[entry.key] = pick(active)
        return values, resolved

    def enumerate(self) -> Iterator[dict[str, Any]]:
        """Yield every configuration of a finite space, in an order that never changes."""
        return self._enumerate(0, dict(self.defaults), {})

    def _enumerate(
        self, at: int, resolved: dict[str, Any], values: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        if at == len(self.entries):
            yield dict(values)
            return
        entry = self.entries[at]
        active = entry.active(resolved)
        if active is None:
            yield from self._enumerate(at + 1, {**resolved, entry.key: entry.default}, values)
            return
        if isinstance(active.domain, Fixed):
            fixed = {entry.key: active.domain.value}
            yield from self._enumerate(at + 1, {**resolved, **fixed}, values)
            return
        listed = active.domain.values()
        assert listed is not None, "only a finite space can be listed"
        for value in listed:
            chosen = {entry.key: value}
            yield from self._enumerate(at + 1, {**resolved, **chosen}, {**values, **chosen})

    def size(self) -> int | None:
        """Return the number of configurations; None where a real range has no step.

        None, too, where conditions and bounds ask about more than `COUNTED` combinations.
        Counted without listing them: after each key, configurations are told apart only by the
        values that later keys ask about.
        """
        states: _States = Counter({(): 1})
        asked: tuple[str, ...] = ()
        for at, entry in enumerate(self.entries):
            later = set().union(*(e.needs() for e in self.entries[at + 1 :]))
            kept = tuple(key for key in (*asked, entry.key) if key in later)
            following = self._extend(states, entry, asked, kept)
            if following is None:
                return None
            states, asked = following, kept
        return sum(states.values())

    def _extend(
        self, states: _States, entry: Entry, asked: tuple[str, ...], kept: tuple[str, ...]
    ) -> _States | None:
        """Return how many configurations there are, with `entry`, for the values of `kept`."""
        following: _States = Counter()
        for state, n in states.items():
            coded = dict(zip(asked, state, strict=True))
            known = {key: json.loads(value) for key, value in coded.items()}
            listed = self._values(entry, {**self.defaults, **known})
            if listed is None:
                return None
            if entry.key not in kept:
                following[tuple(coded[key] for key in kept)] += n * len(listed)
                continue
            if len(following) + len(listed) > COUNTED:
                return None
            for value in listed:
                coded[entry.key] = json.dumps(value)
                following[tuple(coded[key] for key in kept)] += n
        return following

    def among(self, keys: Iterable[str]) -> "Conditional":
        """Return the part with these keys and those that decide over them."""
        stated = {entry.key: entry for entry in self.entries}
        wanted: set[str] = set()
        ahead = [key for key in keys if key in stated]
        while ahead:
            key = ahead.pop()
            if key not in wanted:
                wanted.add(key)
                ahead += [need for need in stated[key].needs() if need in stated]
        return Conditional(tuple(e for e in self.entries if e.key in wanted), self.defaults)

    @staticmethod
    def _values(entry: Entry, resolved: Mapping[str, Any]) -> Sequence[Any] | None:
        active = entry.active(resolved)
        return [entry.default] if active is None else active.domain.values()


def in_order(entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """Return the entries, each after those it needs, and the keys of a circle if there is one."""
    stated = {entry.key: entry for entry in entries}
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for entry in entries:
        sorter.add(entry.key, *sorted(need for need in entry.needs() if need in stated))
    try:
        return [stated[key] for key in sorter.static_order()], []
    except CycleError as error:
        return [], list(error.args[1])
