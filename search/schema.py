"""Every key a space may name, with its type in words: taken from the configuration dataclasses.

A value is checked by pydantic against the field's own type; what is said of a wrong one is put here
in our words ("found 'four', a whole number of at least 1 would be right").
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from mtl_core.data.config import BatchConfig, DataConfig
from mtl_core.errors import suggest
from mtl_core.model.config import EncoderConfig, SharingConfig
from mtl_core.model.structures import STRUCTURES
from mtl_core.training.config import TrainingConfig
from mtl_core.weighting.config import WeightingConfig
from search.config import SearchConfig

# Sections whose keys may be searched, in the order of `TrialConfig`.
TRIAL_SECTIONS: dict[str, type] = {
    "encoder": EncoderConfig,
    "sharing": SharingConfig,
    "weighting": WeightingConfig,
    "batches": BatchConfig,
    "training": TrainingConfig,
}
STUDY_SECTIONS: dict[str, type] = {"search": SearchConfig, "data": DataConfig}
TOP_LEVEL = ("name", *STUDY_SECTIONS, *TRIAL_SECTIONS, "points")

# The names of `weighting.methods.METHODS`, which imports torch; that takes seconds, and a space
# does not need it. A test holds the two equal.
METHOD_NAMES = ("equal", "static", "size", "uncertainty", "dwa", "random")
NAMES: dict[str, tuple[str, ...]] = {
    "sharing.structure": tuple(STRUCTURES),
    "weighting.method": METHOD_NAMES,
}


@dataclass(frozen=True)
class Key:
    """A key of the schema: `encoder.n_layers`, its type and its default as plain JSON."""

    name: str
    hint: Any
    default: Any

    @property
    def is_count(self) -> bool:
        """Whether all its values are whole numbers, so that a bound may name it."""
        return get_origin(self.hint) is Annotated and get_args(self.hint)[0] is int

    @property
    def nullable(self) -> bool:
        return NoneType in _parts(self.hint)

    @property
    def takes(self) -> type | None:
        """The container that a value may be: `list`, `dict` or None."""
        kinds = {get_origin(part) for part in _parts(self.hint)}
        return list if tuple in kinds else dict if dict in kinds else None

    def faults(self, value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield (path inside the value, message) for each thing wrong with `value`."""
        known = NAMES.get(self.name)
        if known and value not in known:
            yield (), _unknown_value(value, known)
        elif not known:
            yield from _faults(self.hint, value)

    def clean(self, value: Any) -> Any:
        """Return a value without fault as plain JSON, 1 as 1.0 where a real number is meant."""
        adapter = _adapter(self.name)
        return adapter.dump_python(adapter.validate_python(value), mode="json")

    def right(self) -> str:
        """Return what would be right, in words."""
        return describe(self.hint)


def keys_of(section: type, prefix: str) -> Iterator[Key]:
    """Yield the keys of a configuration dataclass, those of nested ones too."""
    hints = get_type_hints(section, include_extras=True)
    plain = TypeAdapter(section).dump_python(section(), mode="json")
    for item in fields(section):
        name = f"{prefix}.{item.name}"
        nested = nested_section(hints[item.name])
        if nested:
            yield from keys_of(nested, name)
        yield Key(name, hints[item.name], plain[item.name])


def nested_section(hint: Any) -> type | None:
    """Return the dataclass that a field holds, if it holds one."""
    return next((part for part in _parts(hint) if is_dataclass(part)), None)  # type: ignore[return-value]


@cache
def all_keys() -> dict[str, Key]:
    """Return every key by its dotted name."""
    sections = {**STUDY_SECTIONS, **TRIAL_SECTIONS}
    return {key.name: key for name, cls in sections.items() for key in keys_of(cls, name)}


@cache
def trial_keys() -> dict[str, Key]:
    """Return the keys that may be searched."""
    return {n: key for n, key in all_keys().items() if n.partition(".")[0] in TRIAL_SECTIONS}


def full_name(name: str, among: Collection[str]) -> str | None:
    """Return the dotted name that `name` stands for, or None; short names must be unique.

    A key inside a nested section is never meant by its last part alone: `seed` is `search.seed`.
    """
    if name in among:
        return name
    ends = [key for key in among if key.endswith(f".{name}")]
    if "." not in name:
        ends = [key for key in ends if key.count(".") == 1]
    return ends[0] if len(ends) == 1 else None


def unknown_key(name: str, among: Collection[str]) -> str:
    """Return "unknown key, did you mean 'x'?"; dotted where `name` is, or must be."""
    longer = sorted({".".join(key.split(".")[-2:]) for key in among if key.endswith(f".{name}")})
    if longer:
        return f"unknown key, did you mean {' or '.join(map(repr, longer))}?"
    known = list(among) if "." in name else [key.rpartition(".")[2] for key in among]
    return f"unknown key{suggest(name, known)}"


def show(value: Any) -> str:
    """Return a value as a message shows it, cut where it is long."""
    if isinstance(value, str):
        text = repr(value)
    else:
        text = json.dumps(value, ensure_ascii=False, default=str).replace('"', "")
    return text if len(text) <= 70 else f"{text[:67]}..."


def describe(hint: Any) -> str:
    """Return the values of a type in words: "a whole number of at least 1"."""
    if hint is NoneType:
        return "null"
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(describe(part) for part in args)
    if origin is Annotated:
        return _describe_number(args[0], args[1:])
    if origin is Literal:
        return _one_of(args)
    if origin is tuple:
        return f"a list (of each: {describe(args[0])})"
    if origin is dict:
        return f"a mapping (name: {describe(args[1])})"
    return "a text" if hint is str else "a mapping"


def _describe_number(kind: type, metadata: tuple[Any, ...]) -> str:
    if kind is bool:
        return "true or false"
    words = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
    limits = [
        f"{words[name]} {getattr(limit, name)}"
        for info in metadata
        for limit in (info.metadata if isinstance(info, FieldInfo) else [info])
        for name in words
        if hasattr(limit, name)
    ]
    number = "a whole number" if kind is int else "a number"
    return f"{number} {' and '.join(limits)}".rstrip()


def _one_of(names: Collection[Any]) -> str:
    return f"one of {', '.join(str(name) for name in names)}"


def _unknown_value(value: Any, known: Collection[str]) -> str:
    near = suggest(value, known) if isinstance(value, str) else ""
    return f"found {show(value)}{near or f', {_one_of(known)} would be right'}"


def _parts(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _faults(hint: Any, value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    parts = [part for part in _parts(hint) if part is not NoneType]
    inner = parts[0] if len(parts) == 1 else hint
    if value is None and len(parts) < len(_parts(hint)):
        return
    origin, args = get_origin(inner), get_args(inner)
    if origin is dict and isinstance(value, dict):
        for name, item in value.items():
            yield from (((name, *path), text) for path, text in _faults(args[1], item))
    elif origin is tuple and isinstance(value, list):
        for i, item in enumerate(value):
            yield from (((i, *path), text) for path, text in _faults(args[0], item))
    elif origin is Literal and value not in args:
        yield (), _unknown_value(value, args)
    elif not _fits(hint, value):
        yield (), f"found {show(value)}, {describe(hint)} would be right"


def _fits(hint: Any, value: Any) -> bool:
    try:
        TypeAdapter(hint).validate_python(value)
    except ValidationError:
        return False
    return True


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(all_keys()[name].hint)
