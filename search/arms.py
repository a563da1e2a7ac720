"""The arms of a study: the ways to share, or whatever its keys say, that are compared.

An arm is one combination of values of the keys. Trials that share nothing are always one arm of
their own, whatever else they are: `single_task`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.schema import show

STRUCTURE, SINGLE_TASK = "sharing.structure", "single_task"


@dataclass(frozen=True)
class Arm:
    """One of the arms.

    Args:
        keys: What makes the arms of the study; `pinned` are their values in this one.
    """

    name: str
    keys: tuple[str, ...]
    pinned: Mapping[str, Any]

    def has(self, config: Mapping[str, Any]) -> bool:
        """Whether a configuration, section by section, belongs to it."""
        return arm_of(config, self.keys) == self.name


def arm_of(config: Mapping[str, Any], keys: Sequence[str] = (STRUCTURE,)) -> str:
    """Return the arm of a configuration, section by section: "stack_cls", "n_layers 2"."""
    sections = (key.split(".") for key in {*keys, STRUCTURE})
    return name_of({f"{section}.{name}": config[section][name] for section, name in sections}, keys)


def name_of(values: Mapping[str, Any], keys: Sequence[str] = (STRUCTURE,)) -> str:
    """Return the arm of values by dotted key."""
    if values[STRUCTURE] == SINGLE_TASK:
        return SINGLE_TASK
    return ", ".join(_name(key, values[key]) for key in keys)


def role_of(arm: str, keys: Sequence[str] = (STRUCTURE,)) -> str:
    """Return the name under which the best of an arm is known: "structure:stack_cls"."""
    return f"structure:{arm}" if tuple(keys) == (STRUCTURE,) else f"arm:{arm}"


def _name(key: str, value: Any) -> str:
    if key == STRUCTURE:
        return str(value)
    name = key.rpartition(".")[2]
    return f"{name} {value if isinstance(value, str) else show(value)}"
