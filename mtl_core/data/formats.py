"""The four formats of a user's file: tsv, csv, jsonl and parquet, with `text` and `label` columns.

tsv is without quoting (a double quote is text); csv is as Python's `csv` reads and writes it, with
quoted line ends; jsonl has one object a line. Labels become text: 1 is "1", true is "True", as in
the csv file that pandas would write of them. Other columns are ignored.
"""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mtl_core.data.lines import read_bytes, read_lines
from mtl_core.data.rows import Malformed, Row, RowFile, collect
from mtl_core.errors import ConfigError, suggest

TEXT, LABEL = "text", "label"
COLUMNS = (TEXT, LABEL)


def read_rows(path: Path) -> RowFile:
    """Return the rows of a file in the format that its ending names (one of `FORMATS`)."""
    return FORMATS[path.suffix](path)


def _read_tsv(path: Path) -> RowFile:
    lines, notes = read_lines(path)
    text, label = _columns(lines[0].split("\t") if lines else [], f"{path}, line 1")
    return collect(_parse_tsv(lines, text, label), str(path), notes=notes)


def _parse_tsv(lines: list[str], text: int, label: int) -> Iterator[Row | Malformed]:
    n_columns = lines[0].count("\t") + 1
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split("\t")
        if len(cells) != n_columns:
            yield Malformed(number, f"{len(cells)} cells, where the header has {n_columns}")
        else:
            yield _row(number, cells[text], cells[label])


def _read_csv(path: Path) -> RowFile:
    lines, notes = read_lines(path)
    limit = csv.field_size_limit(sum(map(len, lines)) + len(lines) + 1)
    try:  # the module's own limit of 131,072 characters is for all of the process: put it back
        found = list(_parse_csv(lines, path))
    finally:
        csv.field_size_limit(limit)
    return collect(found, str(path), notes=notes)


def _parse_csv(lines: list[str], path: Path) -> Iterator[Row | Malformed]:
    reader = csv.reader((f"{line}\n" for line in lines), strict=True)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise ConfigError(f"{path}, line 1: the header is no csv: {error}") from None
    text, label = _columns(header, f"{path}, line 1")
    while True:
        line = reader.line_num + 1  # where the row begins; a quoted text may hold line ends
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if reader.line_num >= len(lines) and "end of data" in str(error):
                fault = "a quote is opened and never closed, so the rest of the file is lost"
                raise ConfigError(f"{path}, line {line}: {fault}") from None
            yield Malformed(line, str(error))
            continue
        if len(cells) != len(header):
            yield Malformed(line, f"{len(cells)} cells, where the header has {len(header)}")
        else:
            yield _row(line, cells[text], cells[label])


def _read_jsonl(path: Path) -> RowFile:
    lines, notes = read_lines(path)
    if not lines:
        raise ConfigError(f"{path}: the file is empty; one JSON object a line is wanted")
    return collect(map(_parse_json, range(1, len(lines) + 1), lines), str(path), notes=notes)


def _parse_json(number: int, line: str) -> Row | Malformed:
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:  # its own text speaks of line 1, of the one it was given
        return Malformed(number, f"no JSON: {error.msg}, at character {error.pos + 1}")
    except (ValueError, RecursionError):
        return Malformed(number, "no JSON that can be read: a number too long, or nested too deep")
    if not isinstance(found, dict):
        return Malformed(number, f"a JSON {type(found).__name__}, where an object is wanted")
    missing = [name for name in COLUMNS if name not in found]
    if missing:
        hints = " and ".join(f"no {name!r}{suggest(name, found)}" for name in missing)
        return Malformed(number, f"{hints} (keys: {', '.join(found)})")
    return _row(number, found[TEXT], found[LABEL])


def _read_parquet(path: Path) -> RowFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(read_bytes(path)))
        schema = file.schema_arrow
        _columns(schema.names, str(path))
        _check_types(schema, path)
        table = file.read(columns=list(COLUMNS))
        pairs = zip(table[TEXT].to_pylist(), table[LABEL].to_pylist(), strict=True)
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: holds text that is not UTF-8") from None
    except (pa.ArrowException, OSError) as error:
        raise ConfigError(f"{path}: no Parquet file that can be read: {error}") from None
    rows = (_row(number, text, label) for number, (text, label) in enumerate(pairs, start=1))
    return collect(rows, str(path))


def _check_types(schema: Any, path: Path) -> None:
    import pyarrow.types as types

    texts = (types.is_string, types.is_large_string, types.is_string_view)
    allowed = {TEXT: texts, LABEL: (*texts, types.is_integer, types.is_boolean)}
    wanted = {TEXT: "text", LABEL: "text, whole numbers or booleans"}
    faults = []
    for name in COLUMNS:
        type_ = schema.field(name).type
        values = type_.value_type if types.is_dictionary(type_) else type_
        if not any(is_type(values) for is_type in allowed[name]):
            faults.append(f"{path}: column {name!r} is {type_}, where {wanted[name]} is wanted")
    if faults:
        raise ConfigError(faults)


FORMATS: dict[str, Callable[[Path], RowFile]] = {
    ".tsv": _read_tsv,
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}


def _columns(header: Sequence[str], where: str) -> tuple[int, int]:
    """Return where `text` and `label` stand; a `ConfigError` names all that is wrong with it."""
    if not header:
        raise ConfigError(f"{where}: the file is empty; a header with text and label is wanted")
    shown = ", ".join(repr(name[:40]) for name in header[:10])
    faults = [
        f"{where}: no column {name!r}{suggest(name, header)} (columns: {shown})"
        for name in COLUMNS
        if name not in header
    ]
    faults += [
        f"{where}: column {name!r} occurs {header.count(name)} times"
        for name in COLUMNS
        if header.count(name) > 1
    ]
    if faults:
        raise ConfigError(faults)
    return header.index(TEXT), header.index(LABEL)


def _row(line: int, text: object, label: object) -> Row | Malformed:
    if not isinstance(text, str):
        return Malformed(line, f"the text is {text!r:.40}, where text is wanted")
    if not isinstance(label, str | int):  # a bool is an int
        return Malformed(
            line, f"the label is {label!r:.40}, where text or a whole number is wanted"
        )
    if not _encodable(text) or not _encodable(str(label)):
        return Malformed(line, "half of a surrogate pair (\\ud800 to \\udfff) stands alone")
    if not str(label).strip():
        return Malformed(line, "the label is empty")
    return Row(line, str(label).strip(), text)


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
