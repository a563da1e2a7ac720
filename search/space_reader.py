"""The sections of a space file, read into settings and entries; `Draft` is what comes of it."""

import re
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mtl_core.data.config import DataConfig
from mtl_core.errors import suggest
from mtl_core.faults import Faults
from mtl_core.yaml_lines import Document, KeyPath
from search.conditional import Entry
from search.config import SearchConfig
from search.domain_reader import KINDS, looks_like_domain, read_entry
from search.schema import (
    TOP_LEVEL,
    TRIAL_SECTIONS,
    all_keys,
    full_name,
    keys_of,
    nested_section,
    show,
    trial_keys,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass
class Point:
    """A known-good configuration as it is written.

    Args:
        values: By dotted key.
        path: Where it stands in the document.
        names: How each of its keys is written, dotted or short.
        sound: Whether all its keys and values are possible by themselves.
    """

    values: dict[str, Any]
    path: KeyPath
    names: dict[str, str]
    sound: bool = True


@dataclass
class Draft:
    """A space that is read but not yet checked as a whole.

    Args:
        notes: What the user is told of it, though nothing is at fault.
    """

    name: str
    search: SearchConfig
    data: DataConfig
    entries: list[Entry]
    points: list[Point]
    notes: list[str] = field(default_factory=list)


def read_draft(document: Document, name: str, faults: Faults) -> Draft:
    """Return what `document` says; whatever is wrong is noted in `faults` and left out.

    Args:
        name: Of the space, where the document gives none.
    """
    values = document.values if isinstance(document.values, dict) else {}
    if document.values is None and not faults.found:
        faults.add((), "empty; a mapping with encoder:, sharing:, ... would be right")
    elif not isinstance(document.values, dict) and not faults.found:
        faults.add((), f"found {show(document.values)}, a mapping of sections would be right")
    for key in values:
        if key not in TOP_LEVEL:
            message = f"unknown section{suggest(key, TOP_LEVEL)}; known: {', '.join(TOP_LEVEL)}"
            faults.add((key,), message)
    entries = [e for section in TRIAL_SECTIONS for e in _entries(values, section, faults)]
    return Draft(
        name=_name(values.get("name", name), faults),
        search=_settings(SearchConfig, values.get("search"), ("search",), faults),
        data=_settings(DataConfig, values.get("data"), ("data",), faults),
        entries=entries,
        points=_points(values.get("points"), faults),
    )


def _name(value: Any, faults: Faults) -> str:
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    wanted = "a text of up to 100 of A-Z, a-z, 0-9, '.', '_', '-', not first a sign, would be right"
    faults.add(("name",), f"found {show(value)}; it names a folder: {wanted}")
    return "space"


def _section(raw: Any, path: KeyPath, faults: Faults) -> dict[str, Any]:
    """Return the keys of a section; a section that holds nothing has none."""
    if raw is None or isinstance(raw, dict):
        return raw or {}
    faults.add(path, f"found {show(raw)}, a mapping of keys would be right")
    return {}


def _entries(values: dict[str, Any], section: str, faults: Faults) -> list[Entry]:
    keys = trial_keys()
    found = []
    for short, raw in _section(values.get(section), (section,), faults).items():
        path = (section, short)
        if f"{section}.{short}" not in keys:
            _unknown(section, short, path, faults)
            continue
        entry = read_entry(keys[f"{section}.{short}"], raw, path, faults)
        if entry is not None:
            found.append(entry)
    return found


def _unknown(section: str, short: str, path: KeyPath, faults: Faults) -> None:
    known = [name.removeprefix(f"{section}.") for name in all_keys() if name.startswith(section)]
    elsewhere = full_name(short, all_keys())
    if suggest(short, known) or elsewhere is None:
        faults.add(path, f"unknown key{suggest(short, known)}")
    else:
        faults.add(path, f"unknown key, did you mean {elsewhere!r}?")


def _settings(cls: type[Any], raw: Any, path: tuple[str, ...], faults: Faults) -> Any:
    """Return an instance of a section that is not searched; its default where it has faults."""
    before = len(faults.found)
    prefix = ".".join(path)
    keys = {key.name.removeprefix(f"{prefix}."): key for key in keys_of(cls, prefix)}
    direct = {short: key for short, key in keys.items() if "." not in short}
    clean: dict[str, Any] = {}
    for short, value in _section(raw, path, faults).items():
        inside = (*path, short)
        nested = nested_section(direct[short].hint) if short in direct else None
        if short not in direct:
            faults.add(inside, f"unknown key{suggest(short, direct)}", key=f"{prefix}.{short}")
        elif nested and not (value is None and direct[short].nullable):
            clean[short] = _settings(nested, value, inside, faults)
        elif looks_like_domain(value) and any(kind in value for kind in KINDS):
            faults.add(inside, "cannot be searched, a fixed value would be right")
        else:
            for deeper, message in direct[short].faults(value):
                faults.add((*inside, *deeper), message, key=direct[short].name)
            clean[short] = value
    if len(faults.found) > before:
        return cls()
    try:
        return TypeAdapter(cls).validate_python(clean)
    except ValidationError as error:
        for problem in error.errors():
            faults.add(path, problem["msg"].removeprefix("Value error, "))
        return cls()


def _points(raw: Any, faults: Faults) -> list[Point]:
    if raw is None:
        return []
    if not isinstance(raw, list):
        faults.add(("points",), f"found {show(raw)}, a list of mappings would be right")
        return []
    return [_point(item, ("points", i), faults) for i, item in enumerate(raw)]


def _point(raw: Any, path: KeyPath, faults: Faults) -> Point:
    point, before = Point({}, path, {}), len(faults.found)
    for short, value in _section(raw, path, faults).items():
        name = full_name(short, trial_keys())
        label = f"points.{short}"
        if name is None:
            near = suggest(short, [key.rpartition(".")[2] for key in trial_keys()])
            faults.add((*path, short), f"unknown key{near}", key=label)
        elif name in point.values:
            faults.add((*path, short), f"found twice, also as {point.names[name]}", key=label)
        else:
            problems = list(trial_keys()[name].faults(value))
            for deeper, message in problems:
                faults.add((*path, short, *deeper), message, key=label)
            if not problems:
                point.values[name] = trial_keys()[name].clean(value)
                point.names[name] = short
    point.sound = len(faults.found) == before
    return point
