"""A figure of the page: traces and layout for plotly, as plain data, and the words around it.

The page draws them (`static/figures.js`), fills in fonts and colours of the theme it is shown in,
saves them as SVG or PNG, and their numbers as CSV. A colour that begins with `$` is a variable of
the style sheet. Plotly reads mark-up in texts, so every text that comes from data or configuration
goes through `plain` first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from search.report.findings import in_order
from search.report.wording import SHORT

Trace = dict[str, Any]
# Beside its colour, every structure has a symbol, so that print and any eye tell them apart.
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star", "triangle-down", "pentagon")
INK, MUTED, FAINT, ACCENT = "$ink", "$muted", "$faint", "$accent"


@dataclass(frozen=True)
class View:
    """One of the pictures that a figure can show, chosen by its label."""

    label: str
    data: Sequence[Trace]
    layout: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture, or several to choose from.

    Args:
        name: Letters and hyphens, its id in the page and the name of files saved from it.
        words: What is seen, and how it is to be read.
        views: At least one.
        choose: What a reader chooses between views by, such as "task".
        height: In pixels.
        min_width: Below it the figure scrolls sideways.
        columns: Names of what x, y and z hold, for the CSV.
        table: The CSV itself, heads first, where traces do not say it all.
    """

    name: str
    title: str
    words: str
    views: Sequence[View]
    choose: str = ""
    height: int = 380
    min_width: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)
    table: Sequence[Sequence[Any]] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return what the page's script needs, as JSON values."""
        views = [{"label": v.label, "data": list(v.data), "layout": v.layout} for v in self.views]
        return {
            "title": self.title,
            "views": views,
            "columns": self.columns,
            "height": self.height,
            "table": self.table,
        }


def plain(text: object) -> str:
    """Return `text` so that plotly shows it as it is, on one line."""
    line = " ".join(str(text).split())
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def short(text: object, length: int = 28) -> str:
    """Return `text` for an axis, cut where it is long."""
    line = " ".join(str(text).split())
    return plain(line if len(line) <= length else line[: length - 1] + "…")


def ticks(labels: Sequence[object], *, length: int = 28) -> dict[str, Any]:
    """Return an axis with a tick for each label, at 0, 1, ..."""
    texts = [short(label, length) for label in labels]
    places = list(range(len(labels)))
    return {"tickmode": "array", "tickvals": places, "ticktext": texts, "zeroline": False}


class Looks:
    """Colours and symbols of the structures that a study has."""

    def __init__(self, structures: Sequence[str]) -> None:
        known = [*SHORT, *(name for name in in_order(structures) if name not in SHORT)]
        self._at = {name: at % len(SYMBOLS) for at, name in enumerate(known)}
        self.names = in_order(structures)

    def number(self, structure: str) -> int:
        return self._at[structure]

    def colour(self, structure: str) -> str:
        return f"$arm-{self._at[structure]}"

    def symbol(self, structure: str) -> str:
        return SYMBOLS[self._at[structure]]

    def marker(self, structure: str, **more: Any) -> dict[str, Any]:
        """Return the marker of a structure's points."""
        found = {"color": self.colour(structure), "symbol": self.symbol(structure), "size": 9}
        return found | more


def percent_axis(title: str, **more: Any) -> dict[str, Any]:
    """Return an axis of scores in percent."""
    return {"title": {"text": title}, "zeroline": False, "tickformat": "~g", **more}


def hundredths(values: Sequence[float | None]) -> list[float | None]:
    """Return shares as percent with two decimals, so that pages stay small; NaN as None."""
    return [None if v is None or v != v else round(100 * v, 2) for v in values]
