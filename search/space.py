"""A search space: read from YAML, checked, and asked for configurations.

`load_space` reports every fault of a file at once (`space_builder.py`). A `Space` gives values to
samplers, counts and lists itself, and turns values into the configuration of a trial. `values` are
plain JSON by dotted key, of the searched, active keys only.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from mtl_core.data.config import DataConfig
from mtl_core.errors import ConfigError, suggest
from mtl_core.training.config import TrialConfig
from mtl_core.yaml_lines import read_file
from search.conditional import Active
from search.domains import Alternative, Fixed, Suggests
from search.objectives import objective_faults
from search.points import canonical
from search.pretrained import PRETRAINED, REQUIRED, absolute
from search.question import digest
from search.schema import TRIAL_SECTIONS, show
from search.space_builder import BuiltSpace, build
from search.space_checks import combinations, draw

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from rich.table import Table

ENVIRONMENT = "BRANCHPOINT_DATA"


class Space(BuiltSpace):
    """What is searched, and how; its fields are those of `BuiltSpace`."""

    @property
    def data(self) -> DataConfig:
        """The data section; `ConfigError` where the space needs a folder and none was given."""
        if self.settings.source == REQUIRED:
            raise ConfigError(
                f"{self._place('data.source')}: data.source: this space needs --data FOLDER "
                f"or the environment variable {ENVIRONMENT}"
            )
        if self.settings.tokenizer == REQUIRED:
            raise ConfigError(
                f"{self._place(PRETRAINED)}: {PRETRAINED}: this space needs the folder or hub name "
                f"of a pretrained encoder, --set {PRETRAINED}=DIR"
            )
        return self.settings

    @property
    def domains(self) -> dict[str, tuple[Alternative, ...]]:
        """The searched keys, in the order in which they are decided."""
        return {e.key: e.alternatives for e in self.conditional.entries if e.searched}

    @property
    def warms_up(self) -> bool:
        """Whether any configuration starts from a warm-up on the study's own texts."""
        key = "encoder.mlm_warm_up"
        return any(values[key] for values in combinations(self.conditional, (key,)))

    def suggest(
        self, trial: Suggests, pinned: Mapping[str, Any] = MappingProxyType({})
    ) -> dict[str, Any]:
        """Return values that an `optuna.Trial` suggests, asking only for active keys.

        Args:
            pinned: Values of keys that are not asked for, where they are possible.
        """

        def pick(active: Active) -> Any:
            assert not isinstance(active.domain, Fixed)
            return active.domain.suggest(trial, active.name)

        return self.conditional.walk(_unless_pinned(pinned, pick))[0]

    def sample(
        self, rng: np.random.Generator, pinned: Mapping[str, Any] = MappingProxyType({})
    ) -> dict[str, Any]:
        """Return random values: each key uniform over its domain (in log where it says so)."""
        return self.conditional.walk(_unless_pinned(pinned, partial(draw, rng=rng)))[0]

    def enumerate(self) -> Iterator[dict[str, Any]]:
        """Yield the values of every configuration; the space must be finite."""
        if self.size() is None:
            raise ConfigError(f"{self.path}: found ranges without step, which cannot be listed")
        return self.conditional.enumerate()

    def size(self) -> int | None:
        """Return the number of configurations, or None where a real range has no step."""
        return self.conditional.size()

    def configure(self, values: Mapping[str, Any]) -> TrialConfig:
        """Return the configuration of `values`; `ConfigError` for values not of this space."""
        _, resolved = self._checked(values)
        sections: dict[str, dict[str, Any]] = {section: {} for section in TRIAL_SECTIONS}
        for key, value in resolved.items():
            section, _, name = key.partition(".")
            sections[section][name] = absolute(value) if key == PRETRAINED else value
        return TrialConfig.from_dict(sections)

    def key(self, values: Mapping[str, Any]) -> str:
        """Return the text that equal values share, whatever their order."""
        return canonical(values)

    def distributions_for(
        self, values: Mapping[str, Any], without: Collection[str] = ()
    ) -> dict[str, "BaseDistribution"]:
        """Return Optuna's distribution of each active key, by Optuna's name of it."""
        active = self._active(values)
        return {a.name: a.domain.distribution() for a in active if a.entry.key not in without}

    def to_optuna(self, values: Mapping[str, Any], without: Collection[str] = ()) -> dict[str, Any]:
        """Return the values as Optuna holds them: its names, lists as JSON text."""
        active = [a for a in self._active(values) if a.entry.key not in without]
        return {a.name: a.domain.encode(values[a.entry.key]) for a in active}

    def from_optuna(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of an Optuna trial's `params`."""

        def pick(active: Active) -> Any:
            assert not isinstance(active.domain, Fixed)
            if active.name not in params:
                raise ConfigError(f"{active.name}: missing among the parameters of the trial")
            return active.domain.decode(params[active.name])

        return self.conditional.walk(pick)[0]

    def digest(self) -> str:
        """Return a hash of what the results of a study depend on (`question.py`)."""
        return digest(self)

    def validate_for(self, names: Sequence[str]) -> None:
        """Raise a `ConfigError` for values that do not fit these tasks.

        That is: weights or an objective of unknown tasks, and lists of depths that are not one per
        task.
        """
        faults = [f for key in _BY_TASK for f in self._task_faults(key, names)]
        where = f"{self._place('search.objective')}: search.objective"
        faults += [f"{where}: {f}" for f in objective_faults(self.search.objective, names)]
        if faults:
            raise ConfigError(list(dict.fromkeys(faults)))

    def table(self) -> "Table":
        """Return the space as a table for the terminal."""
        from search.space_table import space_table

        return space_table(self)

    def _task_faults(self, key: str, names: Sequence[str]) -> Iterator[str]:
        where = f"{self._place(key)}: {key}"
        for resolved in combinations(self.conditional, (key,)):
            value = resolved[key]
            if isinstance(value, dict):
                unknown = [name for name in value if name not in names]
                yield from (f"{where}: unknown task {n!r}{suggest(n, names)}" for n in unknown)
            elif isinstance(value, list) and len(value) != len(names):
                found = f"found {len(value)} depths {show(value)}"
                yield f"{where}: {found}, one for each of the {len(names)} tasks would be right"

    def _active(self, values: Mapping[str, Any]) -> list[Any]:
        found = []

        def pick(active: Active) -> Any:
            found.append(active)
            return values[active.entry.key]

        self._checked(values)
        self.conditional.walk(pick)
        return found

    def _checked(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        faults: list[str] = []

        def pick(active: Active) -> Any:
            key = active.entry.key
            if key not in values:
                faults.append(f"{key}: missing, {active.domain} would be right")
                return active.entry.default
            if not active.domain.contains(values[key]):
                faults.append(f"{key}: found {show(values[key])}, {active.domain} would be right")
            return values[key]

        active, resolved = self.conditional.walk(pick)
        for key in values:
            if key not in active:
                known = suggest(key, self.domains)
                faults.append(f"{key}: not a key that is searched and applies here{known}")
        if faults:
            raise ConfigError([f"{self.name}: {fault}" for fault in faults])
        return active, resolved

    def _place(self, key: str) -> str:
        return self.places.get(key, self.path)


def _unless_pinned(
    pinned: Mapping[str, Any], pick: Callable[[Active], Any]
) -> Callable[[Active], Any]:
    def decide(active: Active) -> Any:
        value = pinned.get(active.entry.key)
        if active.entry.key in pinned and active.domain.contains(value):
            return value
        return pick(active)

    return decide


_BY_TASK = ("weighting.weights", "sharing.divergence_depth")


def load_space(
    path: str | Path, overrides: Sequence[str] = (), *, data: str | Path | None = None
) -> Space:
    """Return the space of a YAML file.

    Args:
        overrides: `key=value` each, as of `--set`; applied in order.
        data: Folder of the tasks, in place of `data.source`. Where the space needs one and none is
            given, the environment variable BRANCHPOINT_DATA is taken.

    Raises:
        ConfigError: With every fault of the file and of the overrides, each with its line.
    """
    return parse_space(read_file(path), source=str(path), overrides=overrides, data=data)


def parse_space(
    text: str,
    *,
    source: str = "space",
    overrides: Sequence[str] = (),
    data: str | Path | None = None,
) -> Space:
    """Return the space of a YAML text; `source` is the name that faults give it."""
    folder = None if data is None else str(data)
    built = build(text, source, overrides, folder)
    if built.settings.source == REQUIRED and os.environ.get(ENVIRONMENT):
        built = build(text, source, overrides, os.environ[ENVIRONMENT])
    return Space(**vars(built))
