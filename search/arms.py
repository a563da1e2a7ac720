"""The arms of a study: the ways to share, or whatever its keys say, that are compared.

An arm is one combination of values of the keys. Trials that share nothing are always one arm of
their own, whatever else they are: `single_task`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from search.schema import show

STRUCTURE, SINGLE_TASK = "sharing.structure", "single_task"


def arm_of(config: Mapping[str, Any], keys: Sequence[str] = (STRUCTURE,)) -> str:
    """Return the arm of a configuration, section by section: "stack_cls", "n_layers 2"."""
    if _value(config, STRUCTURE) == SINGLE_TASK:
        return SINGLE_TASK
    return ", ".join(_name(key, _value(config, key)) for key in keys)


def role_of(arm: str, keys: Sequence[str] = (STRUCTURE,)) -> str:
    """Return the name under which the best of an arm is known: "structure:stack_cls"."""
    return f"structure:{arm}" if tuple(keys) == (STRUCTURE,) else f"arm:{arm}"


def _value(config: Mapping[str, Any], key: str) -> Any:
    section, _, name = key.partition(".")
    return config[section][name]


def _name(key: str, value: Any) -> str:
    if key == STRUCTURE:
        return str(value)
    name = key.rpartition(".")[2]
    return f"{name} {value if isinstance(value, str) else show(value)}"
