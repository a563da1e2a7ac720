"""`--set key=value`: any key of a space, changed before the space is read.

The value is YAML, so a domain can be set as well; the key may be short where it is unique.
"""

from collections.abc import Sequence
from typing import Any

from mtl_core.yaml_lines import Document, KeyPath, Place, parse
from search.schema import all_keys, full_name, unknown_key

OUTSIDE_SECTIONS = ("name", "points")


def change(document: Document, overrides: Sequence[str], folder: str | None = None) -> set[str]:
    """Change `document` in place; return the names of the keys changed.

    Args:
        overrides: `key=value` each; a later one wins over an earlier one.
        folder: The new `data.source`, as of `--data`.
    """
    if not isinstance(document.values, dict):
        return set()  # a fault of the file, noted when it is read
    changed = {_apply(document, override) for override in overrides}
    if folder is not None:
        _put(document, ("data", "source"), Document(folder, {(): Place("--data")}))
        changed.add("data.source")
    return changed - {""}


def _apply(document: Document, override: str) -> str:
    source = f"--set {override if len(override) <= 60 else override[:57] + '...'}"
    place = Place(source)
    short, equals, value = override.partition("=")
    short = short.strip()
    if not equals or not short:
        document.faults.append((place, "found no key and value, key=value would be right"))
        return ""
    known = all_keys()
    name = short if short in OUTSIDE_SECTIONS else full_name(short, known)
    if name is None:
        message = f"{short}: {unknown_key(short, [*known, *OUTSIDE_SECTIONS])}"
        if any(key.startswith(f"{short}.") for key in known):
            message = f"{short}: found a section, a key of it would be right: {short}.KEY=VALUE"
        document.faults.append((place, message))
        return ""
    given = parse(value, source, one_place=True)
    document.faults += given.faults
    if not given.faults:
        _put(document, tuple(name.split(".")), given)
    return name


def _put(document: Document, path: tuple[str, ...], given: Document) -> None:
    holder: dict[str, Any] = document.values
    for part in path[:-1]:
        if not isinstance(holder.get(part), dict):
            holder[part] = {}  # a section that the file leaves out, or says null of
        holder = holder[part]
    holder[path[-1]] = given.values
    for inside in [p for p in document.places if p[: len(path)] == path]:
        del document.places[inside]
    moved: dict[KeyPath, Place] = {(*path, *inside): at for inside, at in given.places.items()}
    document.places.update(moved)
