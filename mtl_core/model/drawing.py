"""A sharing plan as a picture: layers by tasks, top layer first, a colour for each bank.

Tasks that stand in the same colour in a row share that layer's weights. Marks show where a task's
tokens enter and where its sentence vector is read. For a terminal (`plan_table`) and for a page
(`plan_svg`). Shapes: L layers, K tasks.
"""

from collections.abc import Sequence
from math import ceil
from xml.sax.saxutils import escape

from rich.cells import cell_len, set_cell_size
from rich.console import Group
from rich.table import Table
from rich.text import Text

from mtl_core.model.plan import NOT_REACHED, SharingPlan
from mtl_core.model.reads import OtherTokens, Readout, TokenAttention, Tokens

ENTERS, READS, ABSENT = "▸", "◆", "·"
_LONGEST = 28  # cells of a name in the picture; the whole name is there to be pointed at
_NARROWEST = 4  # columns of a task, for a number of two digits between its marks
_COLOURS = (
    *("#8ecae6", "#ffb703", "#90be6d", "#f28482", "#cdb4db", "#f4a261", "#84dcc6", "#e9c46a"),
    *("#a9def9", "#d4a373", "#b5e48c", "#ff99c8", "#9fa8da", "#bcb8b1", "#ffd6a5", "#caffbf"),
)
_TOKENS = {
    Tokens.NONE: "no tokens",
    Tokens.CLS_WORD: "the word <cls> before the words",
    Tokens.CLS: "one CLS token",
    Tokens.OWN: "the task's own token",
    Tokens.ALL: "the tokens of all tasks",
}
_READOUTS = {
    Readout.MEAN: "mean of the words",
    Readout.FIRST: "position of <cls>",
    Readout.TOKEN: "position of the token",
}
_CELL_WIDTH, _CELL_HEIGHT, _LEFT, _LETTER = 40, 26, 86, 7.0


def plan_table(plan: SharingPlan, names: Sequence[str], *, width: int) -> Group:
    """Return the plan as a table: a number and a colour for each bank, and the marks.

    Tasks that do not fit side by side are numbered, with their names below, and where the numbers
    do not fit either, the table goes on in another one.

    Args:
        width: Columns of the terminal.
    """
    room = width - len("embedding") - 2  # for the columns of tasks, each with the line after it
    heads, per_table = names, plan.n_tasks
    fits = sum(_column_widths(plan, names)) + plan.n_tasks <= room
    if not fits:
        heads = [str(task) for task in range(1, 1 + plan.n_tasks)]
        per_table = max(1, room // (1 + max(_column_widths(plan, heads))))
    tables = [_table(plan, heads, tasks) for tasks in _folded(plan.n_tasks, per_table)]
    caption = _caption(plan, None if fits else names)
    return Group(*tables, Text(caption, style="table.caption"))  # as Text: names may hold markup


def plan_svg(plan: SharingPlan, names: Sequence[str]) -> str:
    """Return the plan as an SVG picture that needs nothing besides itself."""
    labels = [_shortened(name) for name in names]
    top = 24 + round(max(map(cell_len, labels)) * _LETTER * 0.8)
    caption = _caption(plan, None)
    width = max(_LEFT + plan.n_tasks * _CELL_WIDTH + 24 + top, 16 + round(len(caption) * _LETTER))
    height = top + (1 + plan.n_layers) * _CELL_HEIGHT + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="12" '
        'fill="currentColor">',  # black, or what the page around it writes in
        f"<title>{escape(f'Sharing plan {plan.digest()}')}</title>",
        f'<rect width="{width}" height="{height}" fill="none"/>',
    ]
    for task, (name, label) in enumerate(zip(names, labels, strict=True)):
        x, y = _LEFT + (task + 0.5) * _CELL_WIDTH, top - 6
        said = f"{escape(label)}<title>{escape(name)}</title>"
        parts.append(f'<text transform="translate({x:g} {y}) rotate(-50)">{said}</text>')
    for layer in range(1 + plan.n_layers):
        y = top + (plan.n_layers - layer) * _CELL_HEIGHT
        parts.append(_svg_text(_LEFT - 8, y, _layer_name(layer), anchor="end"))
        for task in range(plan.n_tasks):
            parts.append(_svg_cell(plan, layer, task, y))
    y = top + (1 + plan.n_layers) * _CELL_HEIGHT + 4
    return "\n".join([*parts, _svg_text(8, y, caption, anchor="start"), "</svg>"])


def _shortened(name: str) -> str:
    return name if cell_len(name) <= _LONGEST else set_cell_size(name, _LONGEST - 1).rstrip() + "…"


def _column_widths(plan: SharingPlan, heads: Sequence[str]) -> list[int]:
    """Return how wide each task's column is under its head."""
    layers = range(1 + plan.n_layers)
    return [
        max(_NARROWEST, cell_len(head), *(cell_len(_label(plan, layer, task)) for layer in layers))
        for task, head in enumerate(heads)
    ]


def _folded(n_tasks: int, most: int) -> list[range]:
    """Return the tasks of each table: `most` of them at most, and about as many in each."""
    size = ceil(n_tasks / ceil(n_tasks / most))
    return [range(start, min(start + size, n_tasks)) for start in range(0, n_tasks, size)]


def _table(plan: SharingPlan, heads: Sequence[str], tasks: Sequence[int]) -> Table:
    """Return the columns of some of the tasks."""
    table = Table(padding=(0, 0), pad_edge=False)
    table.add_column("layer", no_wrap=True)
    for task in tasks:
        head = Text(heads[task])
        table.add_column(head, justify="center", no_wrap=True, min_width=_NARROWEST)
    for layer in reversed(range(1 + plan.n_layers)):
        table.add_row(_layer_name(layer), *(_cell(plan, layer, task) for task in tasks))
    return table


def _caption(plan: SharingPlan, names: Sequence[str] | None) -> str:
    marks = f"{READS} {_READOUTS[plan.readout]}"
    if plan.tokens is not Tokens.NONE:
        marks = f"{ENTERS} {_TOKENS[plan.tokens]}{_reach(plan)}  {marks}"
    if names is None:
        return marks
    return marks + "\n" + ", ".join(f"{task} {name}" for task, name in enumerate(names, start=1))


def _reach(plan: SharingPlan) -> str:
    """Say how far tokens reach, where that is not as published."""
    said = []
    if plan.token_attention is not TokenAttention.ALL:
        said.append(f"words see {plan.token_attention.value}")
    if plan.other_tokens is not OtherTokens.FREE:
        said.append(f"others {plan.other_tokens.value}")
    return f" ({', '.join(said)})" if said else ""


def _layer_name(layer: int) -> str:
    return str(layer) if layer else "embedding"


def _label(plan: SharingPlan, layer: int, task: int) -> str:
    """Return the bank's number, between the marks of this layer."""
    bank = plan.groups[layer][task]
    if bank == NOT_REACHED:
        return ABSENT
    enters = plan.tokens is Tokens.CLS_WORD and layer == 0
    if plan.tokens in (Tokens.CLS, Tokens.OWN, Tokens.ALL):
        enters = layer == plan.token_depth[task] + 1
    reads = layer == plan.readout_layer[task]
    return f"{ENTERS if enters else ''}{bank}{READS if reads else ''}"


def _colour(plan: SharingPlan, layer: int, task: int) -> str | None:
    bank = plan.groups[layer][task]
    return None if bank == NOT_REACHED else _COLOURS[bank % len(_COLOURS)]


def _cell(plan: SharingPlan, layer: int, task: int) -> Text:
    colour = _colour(plan, layer, task)
    return Text(_label(plan, layer, task), style=f"black on {colour}" if colour else "dim")


def _svg_cell(plan: SharingPlan, layer: int, task: int, y: int) -> str:
    x, fill = _LEFT + task * _CELL_WIDTH, _colour(plan, layer, task) or "none"
    box = f'<rect x="{x}" y="{y}" width="{_CELL_WIDTH}" height="{_CELL_HEIGHT}"'
    label = _svg_text(x + _CELL_WIDTH // 2, y, _label(plan, layer, task), anchor="middle")
    ink = "currentColor" if fill == "none" else "#111"
    return f'{box} fill="{fill}" stroke="white"/><g fill="{ink}">{label}</g>'


def _svg_text(x: int, y: int, text: str, *, anchor: str) -> str:
    return f'<text x="{x}" y="{y + 17}" text-anchor="{anchor}">{escape(text)}</text>'
