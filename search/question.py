"""The question that a space asks: what of it the results of a study depend on.

As one hash, by which a study is known again, and key by key, to say what differs.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mtl_core.data.config import OWN
from search.objectives import MEAN
from search.schema import show

if TYPE_CHECKING:
    from search.space import Space

_HOW_LONG_AND_WHERE = (  # keys of `search` that change nothing but that
    "trials", "minutes", "workers", "lanes", "cpus_per_trial", "gpus_per_trial", "retries",
    "hang_minutes", "failures", "affinity", "confirm",
)  # fmt: skip
_MOST = 4  # keys that are told; a line holds no more


def digest(space: "Space") -> str:
    """Return a hash of what the results of a study depend on.

    Left out: how long and on how many workers is searched and confirmed, and where the data lie,
    whose content has a hash of its own. So a study can be continued with more trials.
    """
    content = list(_asked(space).values())
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def difference(former: "Space", now: "Space") -> str:
    """Return in words which keys make two spaces ask other questions, and from what to what."""
    was, asked = _by_key(former), _by_key(now)
    keys = [key for key in {**was, **asked} if was.get(key) != asked.get(key)]
    before, after = settings(former), settings(now)
    told = []
    for key in keys[:_MOST]:
        found, new = (
            show(values[key]) if key in values else "nothing" for values in (before, after)
        )
        told.append(f"{key}: others" if found == new else f"{key}: was {found}, is {new}")
    more = [f"and {len(keys) - _MOST} more"] if len(keys) > _MOST else []
    return "; ".join([*told, *more])


def settings(space: "Space") -> dict[str, Any]:
    """Return all that a space says, by key; of points, their number."""
    found = _flat({"search": asdict(space.search), "data": asdict(space.settings)})
    found |= {entry.key: entry.as_yaml() for entry in space.conditional.entries}
    return found | {"points": len(space.points)}


def _by_key(space: "Space") -> dict[str, Any]:
    asked = _asked(space)
    of_sections = _flat({section: asked[section] for section in ("search", "data")})
    return {**of_sections, **asked["entries"], "points": asked["points"]}


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= (
            _flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
        )
    return found


def _asked(space: "Space") -> dict[str, Any]:
    search = asdict(space.search)
    for key in _HOW_LONG_AND_WHERE:
        del search[key]
    if space.search.mode == "find":  # then arms are for the report alone
        del search["mode"], search["arms"]
    if space.search.objective == MEAN:
        del search["objective"]
    data = {**asdict(space.settings), "source": None, "vectors": bool(space.settings.vectors)}
    if space.settings.vectors != OWN:
        del data["own_vectors"]
    if not space.warms_up:
        del data["mlm"]
    entries = {
        entry.key: [[type(a.domain).__name__, asdict(a.domain), a.when] for a in entry.alternatives]
        for entry in space.conditional.entries
    }
    return {"search": search, "data": data, "entries": entries, "points": space.points}
