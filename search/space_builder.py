"""From the text of a space and the changes of a command line to what a `Space` is made of.

The steps: parse with lines (`yaml_lines.py`), change (`overrides.py`), read each key
(`space_reader.py`), check how keys go together (`space_checks.py`), check the points (`points.py`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_core.data.config import OWN, DataConfig
from mtl_core.faults import Faults
from mtl_core.yaml_lines import Document, dump, parse
from search.compare import check_arms
from search.conditional import Conditional
from search.config import SearchConfig
from search.objectives import objective_faults
from search.overrides import change
from search.points import check_points
from search.pretrained import PRETRAINED, take_over
from search.schema import STUDY_SECTIONS, TRIAL_SECTIONS, trial_keys
from search.space_checks import check_combinations, check_width, order
from search.space_reader import Draft, read_draft


@dataclass(frozen=True, kw_only=True)
class BuiltSpace:
    """What a space consists of.

    Args:
        path: The file it was read from.
        text: Its YAML after all changes: read again, it gives the same space.
        settings: The `data` section, as it stands.
        conditional: All keys that the space states, in the order in which they are decided.
        points: Values of the configurations that are tried first.
        left_out: Why points of the file do not fit what `--set` made of the space, and what else
            of the file is not followed.
        places: Where keys stand in the file, for faults that only the data can show.
    """

    name: str
    path: str
    text: str
    search: SearchConfig
    settings: DataConfig
    conditional: Conditional
    points: tuple[dict[str, Any], ...]
    left_out: tuple[str, ...] = ()
    places: Mapping[str, str]


def build(text: str, source: str, overrides: Sequence[str], folder: str | None) -> BuiltSpace:
    """Return the space after all changes.

    Points must fit the file as it is; those that do not fit what the changes made of it are left
    out, since `--set structure=stack_cls` is meant to narrow a space that has points.
    """
    changed: set[str] = set()
    checked = _check(parse(text, source), Path(source).stem)
    if overrides or folder is not None:
        document = parse(text, source)
        changed = change(document, overrides, folder)
        stated, checked = checked, _check(document, Path(source).stem, changed)
        if "points" not in changed and not stated.faults.found:
            stated.point_faults.raise_any()
    if (not overrides and folder is None) or "points" in changed:
        checked.faults.found += checked.point_faults.found
    checked.faults.raise_any()
    return _assemble(text, source, checked, changed)


@dataclass(frozen=True)
class _Checked:
    """A draft and what the checks found; faults of points apart."""

    document: Document
    draft: Draft
    conditional: Conditional
    points: dict[int, dict[str, Any]]
    faults: Faults
    point_faults: Faults


def _check(document: Document, name: str, changed: Collection[str] = ()) -> _Checked:
    faults = Faults(document, list(document.faults))
    draft = read_draft(document, name, faults)
    take_over(draft, document, faults)
    conditional = order(draft.entries, faults, changed)
    check_combinations(conditional, faults)
    if draft.search.sampler == "grid" and not faults.found and conditional.size() is None:
        message = "found grid, but a range has no step; tpe or random would be right"
        faults.add(("search", "sampler"), message)
    confirm = draft.search.confirm
    if confirm.seeds > confirm.max_seeds and not faults.found:
        message = f"found {confirm.max_seeds}, at least the {confirm.seeds} seeds would be right"
        path = ("search", "confirm", "max_seeds")
        faults.add(path, message, key=".".join(path))
    if draft.data.vectors == OWN and not faults.found:
        check_width(draft.data.own_vectors.dimension, conditional, faults)
    point_faults = Faults(document)
    for message in objective_faults(draft.search.objective):
        faults.add(("search", "objective"), message)
    sections = {key.partition(".")[0] for key in faults.broken}
    sound = not document.faults and sections.isdisjoint(TRIAL_SECTIONS)
    points = check_points(draft.points, conditional, point_faults) if sound else {}
    if sound and not faults.found:
        check_arms(draft.search, conditional, points, faults)
    return _Checked(document, draft, conditional, points, faults, point_faults)


def _assemble(text: str, source: str, checked: _Checked, changed: set[str]) -> BuiltSpace:
    draft = checked.draft
    if changed or "name" not in checked.document.values or _is_pretrained(checked.conditional):
        text = f"# {source}, changed: {', '.join(sorted(changed)) or 'nothing'}\n{_text(checked)}"
    places = {
        ".".join(map(str, path)): str(place)
        for path, place in checked.document.places.items()
        if len(path) == 2
    }
    return BuiltSpace(
        name=draft.name,
        path=source,
        text=text,
        search=draft.search,
        settings=draft.data,
        conditional=checked.conditional,
        points=tuple(checked.points.values()),
        left_out=(*draft.notes, *checked.point_faults.lines()),
        places=places,
    )


def _is_pretrained(conditional: Conditional) -> bool:
    return any(entry.key == PRETRAINED for entry in conditional.entries)


def _text(checked: _Checked) -> str:
    """Return the space as YAML: settings as written, domains and points as far as they apply."""
    written = checked.document.values
    values: dict[str, Any] = {"name": checked.draft.name}
    values |= {section: written[section] for section in STUDY_SECTIONS if section in written}
    schema = {name: i for i, name in enumerate(trial_keys())}
    for entry in sorted(checked.conditional.entries, key=lambda entry: schema[entry.key]):
        section, _, short = entry.key.partition(".")
        values.setdefault(section, {})[short] = entry.as_yaml()
    if checked.points:
        values["points"] = [written["points"][i] for i in checked.points]
    return dump(values)
