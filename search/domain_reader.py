"""What a space says of one key becomes its `Entry`: a value, a domain, or alternatives.

    n_layers: 4
    divergence_depth: {int: [0, n_layers], when: {structure: [stack_pooling, stack_cls]}}
    learning_rate: [{float: [1e-4, 1e-2], log: true, when: {optimizer: adam}}, 3e-4]

Only the one key is looked at here; how keys go together is checked in `space_checks.py`.
"""

import math
import re
from typing import Any

from mtl_core.errors import suggest
from mtl_core.faults import Faults
from mtl_core.yaml_lines import KeyPath
from search.conditional import Entry
from search.domains import Alternative, Bound, Choice, Domain, Fixed, FloatRange, IntRange, same
from search.schema import Key, full_name, show, trial_keys, unknown_key

KINDS = ("choice", "int", "float", "fixed")
OPTIONS = (*KINDS, "step", "log", "when")
_BOUND = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(?:-\s*(\d{1,9}))?\s*")


def read_entry(key: Key, raw: Any, path: KeyPath, faults: Faults) -> Entry | None:
    """Return the entry of `key`, or None after noting what is wrong with it."""
    before = len(faults.found)
    if isinstance(raw, list) and any(isinstance(item, dict) for item in raw):
        found = [_alternative(key, item, (*path, i), faults) for i, item in enumerate(raw)]
        _check_reachable(found, path, faults)
    else:
        found = [_alternative(key, raw, path, faults)]
    if len(faults.found) > before:
        return None
    return Entry(key.name, tuple(a for a in found if a is not None), key.default)


def looks_like_domain(raw: Any, key: Key | None = None) -> bool:
    """Whether a mapping is a domain, and not a value of a key that takes mappings."""
    if not isinstance(raw, dict):
        return False
    if key is not None and key.takes is dict:
        return isinstance(raw.get("choice"), list) or isinstance(raw.get("fixed"), dict)
    return True


def _check_reachable(found: list[Alternative | None], path: KeyPath, faults: Faults) -> None:
    for i, alternative in enumerate(found[:-1]):
        if alternative is not None and not alternative.when:
            faults.add(
                (*path, i),
                f"found alternative {i + 1} of {len(found)} without `when`, so that those after "
                "it never apply; at the end of the list it would be right",
            )


def _alternative(key: Key, raw: Any, path: KeyPath, faults: Faults) -> Alternative | None:
    if looks_like_domain(raw, key):
        return _from_mapping(key, raw, path, faults)
    if isinstance(raw, list) and key.takes is not list:
        faults.add(path, f"found a list, {{choice: {show(raw)}}} or {key.right()} would be right")
        return None
    return Alternative(Fixed(key.clean(raw))) if _is_clean(key, raw, path, faults) else None


def _is_clean(key: Key, value: Any, path: KeyPath, faults: Faults) -> bool:
    found = list(key.faults(value))
    for inside, message in found:
        name = ".".join([key.name, *map(str, inside)])
        faults.add((*path, *inside), message, key=name)
    return not found


def _from_mapping(
    key: Key, raw: dict[str, Any], path: KeyPath, faults: Faults
) -> Alternative | None:
    for name in raw:
        if name not in OPTIONS:
            known = suggest(name, OPTIONS) or f", one of {', '.join(OPTIONS)} would be right"
            faults.add((*path, name), f"found {name!r} in a domain{known}")
    kinds = [kind for kind in KINDS if kind in raw]
    if len(kinds) != 1:
        if kinds or all(name in OPTIONS for name in raw):
            found = " and ".join(kinds) or show(raw)
            faults.add(path, f"found {found}, one of {', '.join(KINDS)} would be right")
        return None
    when = _when(raw["when"], (*path, "when"), faults) if "when" in raw else ()
    domain = _DOMAINS[kinds[0]](key, raw, path, faults)
    return None if domain is None else Alternative(domain, when)


def _fixed(key: Key, raw: dict[str, Any], path: KeyPath, faults: Faults) -> Domain | None:
    _refuse_options(raw, path, faults)
    inside = (*path, "fixed")
    return Fixed(key.clean(raw["fixed"])) if _is_clean(key, raw["fixed"], inside, faults) else None


def _choice(key: Key, raw: dict[str, Any], path: KeyPath, faults: Faults) -> Domain | None:
    _refuse_options(raw, path, faults)
    inside: KeyPath = (*path, "choice")
    values = raw["choice"]
    if not isinstance(values, list) or not values:
        faults.add(inside, f"found {show(values)}, a list of at least one value would be right")
        return None
    options: list[Any] = []
    for i, value in enumerate(values):
        if not _is_clean(key, value, (*inside, i), faults):
            continue
        option = key.clean(value)
        if any(same(option, other) for other in options):
            faults.add((*inside, i), f"found {show(value)} twice, once would be right")
        options.append(option)
    return Choice(tuple(options))


def _refuse_options(raw: dict[str, Any], path: KeyPath, faults: Faults) -> None:
    for name in ("step", "log"):
        if name in raw:
            faults.add((*path, name), f"found {name!r}, which only int and float ranges have")


def _int(key: Key, raw: dict[str, Any], path: KeyPath, faults: Faults) -> Domain | None:
    ends = _ends(key, raw, "int", path, faults)
    low, high = (
        (_bound(key, end, (*path, "int", i), faults) for i, end in enumerate(ends or []))
        if ends
        else (None, None)
    )
    step, log = _manner(raw, path, faults, whole=True)
    if low is None or high is None:
        return None
    if low.key is None and high.key is None:
        _check_range(low.number, high.number, (*path, "int"), faults)
    if log and low.key is None and low.number <= 0:
        faults.add((*path, "log"), f"found log with the low {low}, a low above 0 would be right")
    return IntRange(low, high, int(step or 1), log)


def _float(key: Key, raw: dict[str, Any], path: KeyPath, faults: Faults) -> Domain | None:
    ends = _ends(key, raw, "float", path, faults)
    step, log = _manner(raw, path, faults, whole=False)
    if ends is None:
        return None
    for i, end in enumerate(ends):
        if not _is_number(end):
            faults.add((*path, "float", i), f"found {show(end)}, a number would be right")
        else:
            _is_clean(key, float(end), (*path, "float", i), faults)
    if not all(map(_is_number, ends)):
        return None
    low, high = map(float, ends)
    _check_range(low, high, (*path, "float"), faults)
    if log and low <= 0:
        faults.add((*path, "log"), f"found log with the low {low:g}, a low above 0 would be right")
    return FloatRange(low, high, step, log)


def _ends(
    key: Key, raw: dict[str, Any], kind: str, path: KeyPath, faults: Faults
) -> list[Any] | None:
    probes = (0, 1) if kind == "int" else (0.5,)
    if all(any(key.faults(probe)) for probe in probes):
        faults.add((*path, kind), f"found a range of kind {kind}, {key.right()} would be right")
        return None
    ends = raw[kind]
    if not isinstance(ends, list) or len(ends) != 2:
        faults.add((*path, kind), f"found {show(ends)}, [low, high] would be right")
        return None
    return ends


def _bound(key: Key, end: Any, path: KeyPath, faults: Faults) -> Bound | None:
    if isinstance(end, int) and not isinstance(end, bool):
        return Bound(end) if _is_clean(key, end, path, faults) else None
    matched = _BOUND.fullmatch(end) if isinstance(end, str) else None
    if matched is None:
        faults.add(
            path, f"found {show(end)}, a whole number or `n_layers - 1` of a count would be right"
        )
        return None
    name = full_name(matched[1], trial_keys())
    if name is None:
        faults.add(path, f"bound {matched[1]}: {unknown_key(matched[1], trial_keys())}")
        return None
    other = trial_keys()[name]
    if not other.is_count:
        faults.add(path, f"found the bound {show(end)}, but {name} is no count ({other.right()})")
        return None
    return Bound(int(matched[2] or 0), name)


def _manner(raw: dict[str, Any], path: KeyPath, faults: Faults, *, whole: bool) -> tuple[Any, bool]:
    step, log = raw.get("step"), raw.get("log", False)
    if not isinstance(log, bool):
        faults.add((*path, "log"), f"found {show(log)}, true or false would be right")
    kind = "a whole number" if whole else "a number"
    right = isinstance(step, int) and not isinstance(step, bool) if whole else _is_number(step)
    if step is not None and (not right or step <= 0):
        faults.add((*path, "step"), f"found {show(step)}, {kind} above 0 would be right")
        step = None
    if step is not None and log is True:
        faults.add((*path, "log"), "found log and step together, one of them would be right")
    return step if whole or step is None else float(step), log is True


def _check_range(low: float, high: float, path: KeyPath, faults: Faults) -> None:
    if low > high:
        faults.add(path, f"empty range: found low {low:g} above high {high:g}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _when(raw: Any, path: KeyPath, faults: Faults) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    if not isinstance(raw, dict) or not raw:
        faults.add(path, f"found {show(raw)}, a mapping like {{structure: [...]}} would be right")
        return ()
    conditions = []
    for short, allowed in raw.items():
        name = full_name(short, trial_keys())
        if name is None:
            faults.add((*path, short), f"when {short}: {unknown_key(short, trial_keys())}")
            continue
        values = allowed if isinstance(allowed, list) else [allowed]
        if not values:
            faults.add((*path, short), f"when {short}: found no value, at least one would be right")
        key = trial_keys()[name]
        problems = [m for value in values for _, m in key.faults(value)]
        for message in problems:
            faults.add((*path, short), f"when {short}: {message}")
        if values and not problems:
            conditions.append((name, tuple(key.clean(value) for value in values)))
    return tuple(conditions)


_DOMAINS = {"fixed": _fixed, "choice": _choice, "int": _int, "float": _float}
