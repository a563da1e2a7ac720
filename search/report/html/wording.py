"""Numbers and names in the templates: filters that say them as the rest of the report does."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from search.report.by_arm import Cell
from search.report.html.budget import said
from search.report.wording import (
    SHORT,
    count,
    depth_cell,
    depth_in_words,
    interval,
    percent,
    score_interval,
    value_in_words,
    verdict,
)


def ends(cell: Cell) -> str:
    """Return the interval of a cell: "86.5–90.1"."""
    if cell.low is None or cell.high is None:
        return ""
    return f"{percent(cell.low)}–{percent(cell.high)}"


def number(value: float | None, digits: int = 0) -> str:
    """Return 1234.5 as "1,234", None as a dash."""
    return "–" if value is None else f"{value:,.{digits}f}"


def in_a_row(names: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"; the number of many."""
    if len(names) > 12:
        return f"{', '.join(names[:10])} and {len(names) - 10} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def short_name(structure: str) -> str:
    """Return "S-C" for "stack_cls", as the heads of columns have it."""
    return SHORT.get(structure, structure)


FILTERS: Mapping[str, Callable[..., Any]] = {
    "percent": percent,
    "ends": ends,
    "number": number,
    "count": count,
    "said": said,
    "depth_cell": depth_cell,
    "depth_in_words": depth_in_words,
    "in_words": value_in_words,
    "interval": interval,
    "score_interval": score_interval,
    "short_name": short_name,
    "verdict": verdict,
    "in_a_row": in_a_row,
}
