"""`mode: compare`: the arms of a space, and whether it has what a fair comparison takes.

Every arm gets a search of its own, with as many trials as any other and a sampler that sees no
other arm's results. No trial is stopped early: halving would give more epochs to the arm whose
trials come in a lucky order, so each gets the epochs of its configuration, and arms that have
patience or numbers of epochs to search have the same ones. single_task is always among them.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from mtl_core.errors import suggest
from mtl_core.faults import Faults
from search.arms import SINGLE_TASK, STRUCTURE, Arm, name_of
from search.conditional import Conditional
from search.config import SearchConfig
from search.schema import full_name, trial_keys, unknown_key
from search.space_checks import combinations

MOST_ARMS = 100


def arm_keys(search: SearchConfig) -> tuple[str, ...]:
    """Return the dotted names of the keys that make the arms."""
    return tuple(full_name(name, trial_keys()) or name for name in search.arms)


def arms_of(conditional: Conditional, keys: tuple[str, ...]) -> list[Arm]:
    """Return the arms of a space, in the order in which it lists their values."""
    found: dict[str, Arm] = {}
    for values in combinations(conditional, (*keys, STRUCTURE)):
        name = name_of(values, keys)
        pinned = (STRUCTURE,) if name == SINGLE_TASK else keys
        found.setdefault(name, Arm(name, keys, {key: values[key] for key in pinned}))
    return list(found.values())


def check_arms(
    search: SearchConfig,
    conditional: Conditional,
    points: Mapping[int, Mapping[str, Any]],
    faults: Faults,
) -> None:
    """Note what keeps the arms of a space, without other faults, from a fair comparison.

    Args:
        points: Values of the points, by their place in the file.
    """
    searched = {entry.key for entry in conditional.entries if entry.searched}
    for message in _key_faults(search, conditional, searched):
        faults.add(("search", "arms"), message)
        return
    if search.mode != "compare":
        return
    keys = arm_keys(search)
    arms = arms_of(conditional, keys)
    if SINGLE_TASK not in [arm.name for arm in arms]:
        message = (
            "found compare, but structure is never single_task, which every arm is held against; "
            "single_task among the values of sharing.structure would be right"
        )
        faults.add(("search", "mode"), message)
    elif len(arms) == 1:
        faults.add(("search", "mode"), "found compare, but all trials are of one arm, single_task")
    elif search.trials % len(arms):
        least = search.trials - search.trials % len(arms)
        right = " or ".join(str(n) for n in (least, least + len(arms)) if n)
        message = f"found {search.trials} for {len(arms)} arms of as many trials each, {right}"
        faults.add(("search", "trials"), f"{message} would be right")
    else:
        _check_points(search.trials // len(arms), conditional, keys, points, faults)


def _check_points(
    each: int,
    conditional: Conditional,
    keys: tuple[str, ...],
    points: Mapping[int, Mapping[str, Any]],
    faults: Faults,
) -> None:
    """Points are trials of their arm, which must have room for them."""
    counts: dict[str, int] = {}
    for at, values in points.items():
        resolved = conditional.walk(lambda active, values=values: values[active.entry.key])[1]  # type: ignore[misc]
        name = name_of(resolved, keys)
        counts[name] = counts.get(name, 0) + 1
        if counts[name] > each:
            trials = f"{each} trial{'' if each == 1 else 's'}"
            faults.add(("points", at), f"arm {name!r} has {trials}, this is its point {each + 1}")


def _key_faults(
    search: SearchConfig, conditional: Conditional, searched: Collection[str]
) -> Iterable[str]:
    for name in search.arms:
        key = full_name(name, trial_keys())
        if key is None:
            yield f"found {name!r}: {unknown_key(name, trial_keys())}"
        elif search.mode != "compare":
            continue
        elif key not in searched:
            near = (
                suggest(key, searched) or f", one of {', '.join(sorted(searched))} would be right"
            )
            yield f"found {name!r}, which this space does not search{near}"
        elif (size := conditional.among((key,)).size()) is None or size > MOST_ARMS:
            many = "endlessly many values" if size is None else f"{size} values"
            yield f"found {name!r}, which has {many}; a choice of a few would be right"
    if not search.arms:
        yield "found none, sharing.structure would be right"
