"""How the keys of a space go together: conditions, bounds, combinations and points.

Combinations are found by listing those of the few keys that a rule is about, or, where they are too
many or without end, by drawing some; a fault names the combination.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np
from pydantic import ValidationError

from mtl_core.faults import Faults
from mtl_core.model.config import EncoderConfig
from mtl_core.model.structures import deepest
from mtl_core.seeding import stream
from mtl_core.yaml_lines import KeyPath
from search.conditional import Active, Conditional, Entry, in_order
from search.domains import Alternative, Fixed, IntRange, same
from search.schema import Key, show, trial_keys

LISTED = 2_000  # combinations of the keys of one rule that are all looked at
DRAWN = 500  # looked at where there are more
WHERE = "\0"  # stands for the combination in a message
REPORTED = 3  # combinations named for one rule

Resolved = Mapping[str, Any]


def order(entries: list[Entry], faults: Faults, changed: Collection[str] = ()) -> Conditional:
    """Return the entries in order, after checking each against those before it.

    An entry at fault is left out and marked as broken, so that nothing is said twice.

    Args:
        changed: Keys that `--set` gave other values: a condition of the file that asks for a value
            they had before merely never holds.
    """
    _check_circles(entries, faults)
    kept: list[Entry] = []
    defaults = {name: key.default for name, key in trial_keys().items()}
    rank = {name: i for i, name in enumerate(defaults)}  # the order in the file plays no part
    sound = [entry for entry in entries if entry.key not in faults.broken]
    ordered, _ = in_order(sorted(sound, key=lambda entry: rank[entry.key]))
    for stated in ordered:
        if stated.needs() & faults.broken:
            faults.broken.add(stated.key)
            continue
        before = Conditional(tuple(kept), defaults)
        entry = _possible(stated, before, faults, changed)
        _check_bounds(entry, before, faults)
        if entry.key not in faults.broken and entry.alternatives:
            kept.append(entry)
    return Conditional(tuple(kept), defaults)


def check_combinations(conditional: Conditional, faults: Faults) -> None:
    """Look for configurations that cannot be trained, such as a depth above the layers."""
    for keys, rule in _RULES:
        if _touches(keys, faults):
            continue
        found = [m for m in map(rule, combinations(conditional, keys)) if m]
        messages = list(dict.fromkeys(found))
        for message in messages[:REPORTED]:
            faults.add(_path(_stated(keys, conditional)), message)
        if len(messages) > REPORTED:
            more = len(messages) - REPORTED
            faults.add(_path(_stated(keys, conditional)), f"and {more} more such combinations")


def check_width(dimension: int, conditional: Conditional, faults: Faults) -> None:
    """Look for encoders that would not take the word vectors which the study is to train first.

    Args:
        dimension: Of these vectors.
    """
    key = "encoder.d_word"
    for width in dict.fromkeys(values[key] for values in combinations(conditional, (key,))):
        if width != dimension:
            right = f"own word vectors have {dimension} numbers (data.own_vectors.dimension)"
            faults.add(_path(key), f"found {width}, but {right}; {key}: {dimension} would be right")


def combinations(conditional: Conditional, keys: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yield the values of all keys for the combinations of `keys`, or for some of very many."""
    part = conditional.among(keys)
    size = part.size()
    if size is not None and size <= LISTED:
        for values in part.enumerate():
            yield part.walk(lambda active, values=values: values[active.entry.key])[1]  # type: ignore[misc]
        return
    rng = stream(0, "combinations", *keys)
    for _ in range(DRAWN):
        yield part.walk(lambda active: draw(active, rng))[1]


def draw(active: Active, rng: np.random.Generator) -> Any:
    """Return a random value of an active key."""
    assert not isinstance(active.domain, Fixed)
    return active.domain.sample(rng)


def _check_circles(entries: list[Entry], faults: Faults) -> None:
    left = list(entries)
    while circle := in_order(left)[1]:
        text = " needs ".join(circle[::-1])
        faults.add(_path(circle[0]), f"circular conditions: {text}")
        faults.broken.update(circle)
        left = [entry for entry in left if entry.key not in circle]


def _possible(entry: Entry, before: Conditional, faults: Faults, changed: Collection[str]) -> Entry:
    """Return the entry without conditions that `--set` made impossible; other such are faults."""
    stated = {other.key: other for other in before.entries}
    path = _path(entry.key)
    kept = []
    for i, alternative in enumerate(entry.alternatives):
        inner = (*path, i) if (*path, i) in faults.document.places else path
        when = []
        for name, allowed in alternative.when:
            other, default = stated.get(name), trial_keys()[name].default
            can = tuple(value for value in allowed if _can_take(before, name, value))
            for value in allowed:
                if value not in can and (name not in changed or entry.key in changed):
                    takes = _takes(other, default)
                    found = f"when {name} is {show(value)}, but it only takes {takes}"
                    faults.add((*inner, "when"), found)
            when.append((name, can))
        if all(can for _, can in when):
            kept.append(Alternative(alternative.domain, tuple(when)))
    return Entry(entry.key, tuple(kept), entry.default)


def _can_take(before: Conditional, name: str, value: Any) -> bool:
    entry = next((entry for entry in before.entries if entry.key == name), None)
    if entry is None:
        return same(before.defaults[name], value)
    domains = [alternative.domain for alternative in entry.alternatives]
    if any(isinstance(domain, IntRange) and domain.dynamic for domain in domains):
        size = before.among((name,)).size()
        if size is None or size > LISTED:
            return isinstance(value, int)  # what is drawn would not decide it
        return any(same(values[name], value) for values in combinations(before, (name,)))
    by_default = not entry.always and same(entry.default, value)
    return by_default or any(domain.contains(value) for domain in domains)


def _takes(entry: Entry | None, default: Any) -> str:
    if entry is None:
        return f"its default, {show(default)}"
    domains = [str(alternative.domain) for alternative in entry.alternatives]
    return "; ".join(domains if entry.always else [*domains, f"{show(default)} (default)"])


def _check_bounds(entry: Entry, before: Conditional, faults: Faults) -> None:
    dynamic = any(isinstance(a.domain, IntRange) and a.domain.dynamic for a in entry.alternatives)
    if not dynamic or entry.key in faults.broken:
        return
    asked = tuple(sorted(entry.needs()))
    key = trial_keys()[entry.key]
    for resolved in combinations(before, asked):
        problem = _bound_problem(entry, key, resolved)
        if problem:
            given = " and ".join(f"{name} is {show(resolved[name])}" for name in asked)
            faults.add(_path(entry.key), problem.replace(WHERE, f" where {given}"))
            return


def _bound_problem(entry: Entry, key: Key, resolved: Resolved) -> str:
    for alternative in entry.alternatives:
        if not alternative.holds(resolved):
            continue
        domain = alternative.domain
        if not isinstance(domain, IntRange):
            return ""
        low, high = domain.low.at(resolved), domain.high.at(resolved)
        if low > high:
            return f"empty range: found low {low} above high {high}{WHERE}"
        if domain.log and low <= 0:
            return f"found log with the low {low}{WHERE}, a low above 0 would be right"
        wrong = [end for end in (low, high) if any(key.faults(end))]
        return f"found the bound {wrong[0]}{WHERE}, {key.right()} would be right" if wrong else ""
    return ""


def _touches(keys: tuple[str, ...], faults: Faults) -> bool:
    return any(key in faults.broken for key in keys)


def _stated(keys: tuple[str, ...], conditional: Conditional) -> str:
    """Return the first of `keys` that the space states, to name its line."""
    stated = {entry.key for entry in conditional.entries}
    return next((key for key in keys if key in stated), keys[0])


def _path(name: str) -> KeyPath:
    return tuple(name.split("."))


def _size_rule(values: Resolved) -> str:
    names = ("d_model", "n_heads", "d_word", "norm")
    try:
        EncoderConfig(**{name: values[f"encoder.{name}"] for name in names})
    except ValidationError as error:
        return str(error.errors()[0]["msg"]).removeprefix("Value error, ")
    return ""


def _depth_rule(values: Resolved) -> str:
    structure, depth = values["sharing.structure"], values["sharing.divergence_depth"]
    n_layers = values["encoder.n_layers"]
    limit = deepest(structure, n_layers)
    where = f"found {show(depth)} where structure is {structure}"
    if depth is None:
        return ""
    if limit is None:
        return f"{where}, which has no depth; a `when` with the other structures would be right"
    if max(depth if isinstance(depth, list) else [depth], default=0) <= limit:
        return ""
    return f"{where} and n_layers is {n_layers}, 0 to {limit} would be right"


def _token_rule(key: str) -> Callable[[Resolved], str]:
    def rule(values: Resolved) -> str:
        structure, found = values["sharing.structure"], values[key]
        if structure == "layerwise_explicit" or found == trial_keys()[key].default:
            return ""
        return (
            f"found {show(found)} where structure is {structure}, which has no tokens of other "
            "tasks; a `when` with layerwise_explicit would be right"
        )

    return rule


def _frozen_rule(values: Resolved) -> str:
    frozen, n_layers = values["training.frozen_layers"], values["encoder.n_layers"]
    if frozen <= n_layers:
        return ""
    return f"found {frozen} where n_layers is {n_layers}, 0 to {n_layers} would be right"


def _weights_rule(values: Resolved) -> str:
    if values["weighting.method"] == "static" and values["weighting.weights"] is None:
        return "found no weights where method is static, a weight by task name would be right"
    return ""


_RULES: tuple[tuple[tuple[str, ...], Callable[[Resolved], str]], ...] = (
    (("encoder.d_model", "encoder.n_heads", "encoder.d_word", "encoder.norm"), _size_rule),
    (("sharing.divergence_depth", "sharing.structure", "encoder.n_layers"), _depth_rule),
    (("sharing.token_attention", "sharing.structure"), _token_rule("sharing.token_attention")),
    (("sharing.other_tokens", "sharing.structure"), _token_rule("sharing.other_tokens")),
    (("training.frozen_layers", "encoder.n_layers"), _frozen_rule),
    (("weighting.weights", "weighting.method"), _weights_rule),
)
