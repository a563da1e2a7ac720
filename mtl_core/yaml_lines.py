"""YAML with a place for each key, so that a fault can be reported with its line.

Read by the rules of YAML 1.2 (`1e-4` is a number, `yes` a text), with plain values only: no tags,
no anchors and aliases (so no alias bomb), no key twice. All faults are collected; only those of the
file as a whole are raised, by `read_file`.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mtl_core.errors import ConfigError

MAX_BYTES = 256 * 1024  # a space is a page or two; PyYAML needs seconds for each megabyte
MAX_DEPTH = 12
MAX_DIGITS = 18  # of a whole number; more would not fit 64 bits

KeyPath = tuple[str | int, ...]  # ("encoder", "n_layers", "choice", 0)


@dataclass(frozen=True, order=True)
class Place:
    """Where a value stands: line of a file (from 1), or `--set key=value` without a line."""

    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass
class Document:
    """Plain values, the place of each of their paths, and what is wrong with the writing."""

    values: Any
    places: dict[KeyPath, Place]
    faults: list[tuple[Place, str]] = field(default_factory=list)

    def place(self, path: KeyPath) -> Place:
        """Return the place of `path`, or of the nearest part of it that is there."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place("?"))


def read_file(path: str | Path) -> str:
    """Return the text of a YAML file; raises `ConfigError` if it cannot be one."""
    file = Path(path)
    try:
        if file.is_dir():
            raise ConfigError(f"{path}: found a folder, a YAML file would be right")
        if file.exists() and not file.is_file():
            raise ConfigError(f"{path}: found no regular file, a YAML file would be right")
        size = os.stat(file).st_size
        if size > MAX_BYTES:
            raise ConfigError(f"{path}: found {size} bytes, at most {MAX_BYTES} would be right")
        content = file.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file{_beside(file)}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, byte = content[: error.start].count(b"\n") + 1, content[error.start]
        message = f"found the byte 0x{byte:02x}, text in UTF-8 would be right"
        raise ConfigError(f"{path}:{line}: {message}") from None


def parse(text: str, source: str, *, one_place: bool = False) -> Document:
    """Return the values of a YAML text, each with its place.

    Args:
        source: File name, or the `--set key=value` that the text comes from.
        one_place: Give every value the place `source`, without a line.
    """
    reading = _Reading(source, one_place)
    try:
        reading.scan(text)
        if not reading.document.faults:
            node = _Loader(text).get_single_node()
            reading.document.values = reading.value(node, ()) if node else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reading.fault(mark, f"not YAML: {error.problem or error.context}")
    except yaml.YAMLError as error:  # a control character: the reader has no mark
        reason = str(getattr(error, "reason", error))
        line = text[: getattr(error, "position", 0)].count("\n")
        reading.fault(yaml.Mark(source, 0, line, 0, None, 0), f"not YAML: {reason}")
    return reading.document


def dump(values: Any) -> str:
    """Return YAML that `parse` reads back to equal values."""
    return yaml.dump(
        values,
        Dumper=_Dumper,
        default_flow_style=None,
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )


class _Loader(yaml.SafeLoader):
    """Finds plain values by the core schema of YAML 1.2, in place of PyYAML's 1.1."""


class _Dumper(yaml.SafeDumper):
    """Quotes by the same rules."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


_TAG = "tag:yaml.org,2002:"
_PLAIN: Sequence[tuple[str, str, Sequence[str]]] = (
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("bool", r"true|True|TRUE|false|False|FALSE", tuple("tTfF")),
    ("int", r"[-+]?[0-9]+", tuple("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        tuple("-+.0123456789"),
    ),
)
_Loader.yaml_implicit_resolvers = {}
_Dumper.yaml_implicit_resolvers = {}
for _name, _pattern, _first in _PLAIN:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), list(_first))


class _Reading:
    """One pass over a text: first its events, for what is not allowed, then its values."""

    def __init__(self, source: str, one_place: bool) -> None:
        self.source = source
        self.one_place = one_place
        self.document = Document(None, {(): self.place(None)})

    def place(self, mark: Any) -> Place:
        line = None if self.one_place or mark is None else mark.line + 1
        return Place(self.source, line)

    def fault(self, mark: Any, message: str) -> None:
        self.document.faults.append((self.place(mark), message))

    def scan(self, text: str) -> None:
        depth, documents = 0, 0
        for event in yaml.parse(text, Loader=_Loader):
            documents += isinstance(event, yaml.DocumentStartEvent)
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if documents > 1:
                return self.fault(event.start_mark, "found a second document, one would be right")
            if depth > MAX_DEPTH:
                return self.fault(event.start_mark, f"nested more than {MAX_DEPTH} deep")
            for found in _not_allowed(event):
                self.fault(event.start_mark, f"found {found}, plain values only would be right")
        return None

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self.document.places.setdefault(path, self.place(node.start_mark))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
        return self.scalar(node)

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.fault(key.start_mark, "found a list or mapping as key, a name would be right")
                continue
            where = (*path, key.value)
            if key.value in result:
                first = self.document.places[where]
                self.fault(key.start_mark, f"{key.value}: found twice, first {_line_of(first)}")
                continue
            self.document.places[where] = self.place(key.start_mark)
            result[key.value] = self.value(item, where)
        return result

    def scalar(self, node: yaml.Node) -> Any:
        text = str(node.value)
        kind = node.tag.removeprefix(_TAG)
        if kind == "int":
            if len(text) <= MAX_DIGITS:
                return int(text)
            self.fault(node.start_mark, f"found a number of {len(text)} digits, which is too large")
            return 1  # fits most keys, so that the fault is told once
        if kind == "float":
            return float(re.sub(r"\.(inf|nan)", r"\1", text, flags=re.IGNORECASE))
        return {"null": None, "bool": text.lower() == "true"}.get(kind, text)


def _not_allowed(event: yaml.Event) -> Iterator[str]:
    anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
    if anchor:
        yield (
            f"the alias *{anchor}"
            if isinstance(event, yaml.AliasEvent)
            else f"the anchor &{anchor}"
        )
    if tag:
        yield f"the tag {tag.replace(_TAG, '!!')}"


def _line_of(place: Place) -> str:
    return f"in line {place.line}" if place.line else "before"


def _beside(file: Path) -> str:
    """Return ", did you mean ...?" for a file of a like name in the same folder."""
    from mtl_core.errors import suggest

    try:
        names = [p.name for p in file.parent.iterdir() if p.suffix in (".yaml", ".yml")]
    except OSError:
        return f", nor a folder {str(file.parent)!r}"
    return suggest(file.name, names) or (f"; there is {', '.join(sorted(names))}" if names else "")
