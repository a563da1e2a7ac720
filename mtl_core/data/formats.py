"""The four formats of a user's file with columns: tsv, csv, jsonl and parquet.

tsv is without quoting (a double quote is text); csv is as Python's `csv` reads and writes it, with
quoted line ends; jsonl has one object a line. Labels become text: 1 is "1", true is "True", as in
the csv file that pandas would write of them. Columns that are not asked for (`columns.py`) are
ignored.
"""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mtl_core.data.columns import Cells, Columns, make_row
from mtl_core.data.lines import read_bytes, read_lines
from mtl_core.data.rows import Malformed, Row, RowFile, collect
from mtl_core.errors import ConfigError, suggest

_PLAIN = Columns()


def read_rows(path: Path, columns: Columns = _PLAIN, ending: str | None = None) -> RowFile:
    """Return the rows of a file.

    Args:
        ending: One of `FORMATS`, the file's own when None.
    """
    return FORMATS[ending or path.suffix](path, columns)


def _read_tsv(path: Path, columns: Columns) -> RowFile:
    lines, notes = read_lines(path)
    return collect(_parse_tsv(lines, columns, path), str(path), notes=notes)


def _parse_tsv(lines: list[str], columns: Columns, path: Path) -> Iterator[Row | Malformed]:
    places = columns.locate(lines[0].split("\t") if lines else [], f"{path}, line 1")
    n_columns = lines[0].count("\t") + 1
    begin = 1 if columns.has_header else 0
    for number, line in enumerate(lines[begin:], start=begin + 1):
        cells = line.split("\t")
        if len(cells) != n_columns:
            yield _ragged(number, len(cells), n_columns, columns)
        else:
            yield make_row(number, Cells(*(cells[place] for place in places)), columns)


def _ragged(line: int, found: int, wanted: int, columns: Columns) -> Malformed:
    first = "header" if columns.has_header else "first line"
    return Malformed(line, f"{found} cells, where the {first} has {wanted}")


def _read_csv(path: Path, columns: Columns) -> RowFile:
    lines, notes = read_lines(path)
    limit = csv.field_size_limit(sum(map(len, lines)) + len(lines) + 1)
    try:  # the module's own limit of 131,072 characters is for all of the process: put it back
        found = list(_parse_csv(lines, columns, path))
    finally:
        csv.field_size_limit(limit)
    return collect(found, str(path), notes=notes)


def _parse_csv(lines: list[str], columns: Columns, path: Path) -> Iterator[Row | Malformed]:
    reader = csv.reader((f"{line}\n" for line in lines), strict=True)
    try:
        first = next(reader, [])
    except csv.Error as error:
        row = "header" if columns.has_header else "row"
        raise ConfigError(f"{path}, line 1: the {row} is no csv: {error}") from None
    places = columns.locate(first, f"{path}, line 1")
    if not columns.has_header:
        yield make_row(1, Cells(*(first[place] for place in places)), columns)
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
        if len(cells) != len(first):
            yield _ragged(line, len(cells), len(first), columns)
        else:
            yield make_row(line, Cells(*(cells[place] for place in places)), columns)


def _read_jsonl(path: Path, columns: Columns) -> RowFile:
    lines, notes = read_lines(path)
    if not lines:
        raise ConfigError(f"{path}: the file is empty; one JSON object a line is wanted")
    found = (_parse_json(number, line, columns) for number, line in enumerate(lines, start=1))
    file = collect(found, str(path), notes=notes)
    if not any(row.label for row in file.rows):
        _check_label_key(file.rows, lines, str(columns.label), path)
    return file


def _check_label_key(rows: Sequence[Row], lines: list[str], label: str, path: Path) -> None:
    """Refuse a label's key that no row has; one that some lack is of rows without a label."""
    keys = dict.fromkeys(key for row in rows for key in json.loads(lines[row.line - 1]))
    if rows and label not in keys:
        raise ConfigError(f"{path}: no {label!r}{suggest(label, keys)} (keys: {', '.join(keys)})")


def _parse_json(number: int, line: str, columns: Columns) -> Row | Malformed:
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:  # its own text speaks of line 1, of the one it was given
        return Malformed(number, f"no JSON: {error.msg}, at character {error.pos + 1}")
    except (ValueError, RecursionError):
        return Malformed(number, "no JSON that can be read: a number too long, or nested too deep")
    if not isinstance(found, dict):
        return Malformed(number, f"a JSON {type(found).__name__}, where an object is wanted")
    wanted = [str(name) for name in columns.wanted]
    if columns.keeps_unlabelled:
        found.setdefault(str(columns.label), None)
    missing = [name for name in wanted if name not in found]
    if missing:
        hints = " and ".join(f"no {name!r}{suggest(name, found)}" for name in missing)
        return Malformed(number, f"{hints} (keys: {', '.join(found)})")
    return make_row(number, Cells(*(found[name] for name in wanted)), columns)


def _read_parquet(path: Path, columns: Columns) -> RowFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = [str(name) for name in columns.wanted]
    try:
        file = pq.ParquetFile(pa.BufferReader(read_bytes(path)))
        schema = file.schema_arrow
        columns.locate(schema.names, str(path))
        _check_types(schema, columns, path)
        table = file.read(columns=wanted)
        found = zip(*(table[name].to_pylist() for name in wanted), strict=True)
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: holds text that is not UTF-8") from None
    except (pa.ArrowException, OSError) as error:
        raise ConfigError(f"{path}: no Parquet file that can be read: {error}") from None
    rows = (make_row(number, Cells(*cells), columns) for number, cells in enumerate(found, start=1))
    return collect(rows, str(path))


def _check_types(schema: Any, columns: Columns, path: Path) -> None:
    """Refuse columns of another type at once; what lists hold is looked at row by row."""
    import pyarrow.types as types

    texts = (types.is_string, types.is_large_string, types.is_string_view)
    lists = (types.is_list, types.is_large_list)
    texts_too = (*texts, *lists) if columns.kind == "tagging" else texts
    more = {"regression": (types.is_floating,), "multilabel": lists, "tagging": lists}
    labels = (*texts, types.is_integer, types.is_boolean, *more.get(columns.kind, ()))
    wanted = {"regression": "numbers", "multilabel": "text or lists", "tagging": "text or lists"}
    label_wanted = wanted.get(columns.kind, "text, whole numbers or booleans")
    faults = []
    for name in columns.wanted:
        allowed, what = (labels, label_wanted) if name == columns.label else (texts_too, "text")
        type_ = schema.field(name).type
        values = type_.value_type if types.is_dictionary(type_) else type_
        if not any(is_type(values) for is_type in allowed):
            faults.append(f"{path}: column {name!r} is {type_}, where {what} is wanted")
    if faults:
        raise ConfigError(faults)


FORMATS: dict[str, Callable[[Path, Columns], RowFile]] = {
    ".tsv": _read_tsv,
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}
