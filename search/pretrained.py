"""What a pretrained encoder decides in a space: its sizes, the tokenizer, the longest text.

With `encoder.pretrained` given, the space is completed by what the encoder's folder says, as if it
had stated this itself; what it does state and what contradicts the folder is at fault. All trials
of a study share one encoded corpus, so there is one pretrained encoder for all of them.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from mtl_core.errors import ConfigError
from mtl_core.faults import Faults
from mtl_core.foreign import expanded
from mtl_core.model.pretrained import SIZES, Pretrained, contradictions, describe
from mtl_core.yaml_lines import Document
from search.conditional import Entry
from search.domains import Alternative, Fixed
from search.schema import show, trial_keys
from search.space_reader import Draft

PRETRAINED = "encoder.pretrained"
OURS = {  # switches of encoders that are not pretrained
    "mean_over_padding": "the published encoder",
    "mlm_warm_up": "an encoder of our own",
}
REQUIRED = "required"  # a value that comes by the command line


def take_over(draft: Draft, document: Document, faults: Faults) -> None:
    """Complete the draft by what its pretrained encoder decides; what contradicts is a fault."""
    entry = next((entry for entry in draft.entries if entry.key == PRETRAINED), None)
    if entry is None:
        return
    name = _name(entry)
    if name is None:
        message = "found several values, one folder or hub name would be right: all trials share "
        faults.add(("encoder", "pretrained"), message + "one encoded corpus")
    elif isinstance(name, str):
        _complete(draft, document, name, faults)


def absolute(name: Any) -> Any:
    """Return the folder as every process finds it; names on the hub stay."""
    is_folder = isinstance(name, str) and os.path.isdir(expanded(name))
    return str(expanded(name).resolve()) if is_folder else name


def _name(entry: Entry) -> Any:
    """Return the one value of the key, False where that is null; None where it has several."""
    (first, *others) = entry.alternatives
    if others or first.when or not isinstance(first.domain, Fixed):
        return None
    return first.domain.value or False


def _complete(draft: Draft, document: Document, name: str, faults: Faults) -> None:
    stated = (document.values or {}).get("data") or {}
    stated = stated if isinstance(stated, dict) else {}
    for key, right in (("tokenizer", name), ("vectors", None)):
        if stated.get(key, right) != right:
            message = f"found {show(stated[key])}, but {PRETRAINED} brings its own; leave it out"
            faults.add(("data", key), message)
    draft.data = replace(draft.data, tokenizer=name)
    if name == REQUIRED:
        return
    there = {entry.key for entry in draft.entries}
    try:
        found = describe(name)
    except ConfigError as error:
        if all(f"encoder.{key}" in there for key in SIZES):
            return  # as a study keeps its space, which can be read without the folder
        for fault in error.faults:
            faults.add(("encoder", "pretrained"), fault.removeprefix(f"{PRETRAINED}: "))
        return
    _lower_max_words(draft, document, found, stated=isinstance(stated.get("max_words"), int))
    for key, message in _contradictions(draft, found):
        faults.add(("encoder", key), message)
    for key, value in found.sizes.items():
        if f"encoder.{key}" not in there:
            default = trial_keys()[f"encoder.{key}"].default
            draft.entries.append(Entry(f"encoder.{key}", (Alternative(Fixed(value)),), default))


def _lower_max_words(draft: Draft, document: Document, found: Pretrained, *, stated: bool) -> None:
    asked, most = draft.data.max_words, found.n_positions
    if asked <= most:
        return
    draft.data = replace(draft.data, max_words=most)
    if stated:
        draft.notes.append(
            f"{document.place(('data', 'max_words'))}: data.max_words: found {asked}, but "
            f"{found.folder} has positions for {most}; texts are cut after {most} words"
        )


def _contradictions(draft: Draft, found: Pretrained) -> Iterator[tuple[str, str]]:
    """Yield the keys of the encoder that can take a value which the folder contradicts."""
    for entry in draft.entries:
        section, _, key = entry.key.partition(".")
        if section != "encoder":
            continue
        values = [v for a in entry.alternatives for v in _values(a)]
        if key in OURS and any(values):
            yield key, f"found true, which is for {OURS[key]} and not a pretrained one"
        faults = (contradictions(found, {key: value}).get(key) for value in values)
        if fault := next(filter(None, faults), None):
            yield key, fault


def _values(alternative: Alternative) -> list[Any]:
    """Return the values of a domain, where they are known and can be listed."""
    domain = alternative.domain
    if isinstance(domain, Fixed):
        return [domain.value]
    return [] if getattr(domain, "dynamic", False) else list(domain.values() or [])
