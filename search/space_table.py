"""A search space as a table for the terminal."""

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from search.domains import Alternative, plain

if TYPE_CHECKING:
    from search.space import Space


def space_table(space: "Space") -> Table:
    """Return one row for each searched key and alternative, then the keys that are set."""
    size = space.size()
    count = "infinitely many" if size is None else f"{size:,}"
    table = Table(title=f"{space.name}: {count} configurations", title_justify="left")
    table.add_column("key", no_wrap=True)
    table.add_column("values")
    table.add_column("when")
    for entry in sorted(space.conditional.entries, key=lambda entry: not entry.searched):
        for i, alternative in enumerate(entry.alternatives):
            name = entry.key if i == 0 else ""
            values = Text(str(alternative.domain), style="" if entry.searched else "dim")
            table.add_row(Text(name), values, Text(condition(alternative)))
        if not entry.always:
            default = Text(f"{plain(entry.default)} (default)", style="dim")
            table.add_row("", default, Text("otherwise", style="dim"))
    if space.points:
        table.caption = f"{len(space.points)} known-good configurations are tried first"
        table.caption_justify = "left"
    return table


def condition(alternative: Alternative) -> str:
    """Return the condition of an alternative in short names: "structure: a, b"."""
    return "; ".join(
        f"{key.rpartition('.')[2]}: {', '.join(map(plain, values))}"
        for key, values in alternative.when
    )
