"""Numbers, names and verdicts as a reader meets them; Markdown tables that are aligned as text too.

Words follow the numbers: "better" and "worse" only where the interval leaves zero out, "no
difference seen" where it does not. Names come from users' files, so every one is escaped.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from search.report.statistics import Difference

SHORT = {  # column heads; the published abbreviations, explained below each table that uses them
    "single_task": "single",
    "stack_pooling": "S-P",
    "stack_cls": "S-C",
    "layerwise_implicit": "L-I",
    "layerwise_explicit": "L-E",
}
BASELINES = {
    "tfidf_pooled": "TF-IDF logistic regression pooled over the tasks",
    "tfidf": "TF-IDF logistic regression per task",
    "majority": "always the most frequent label",
}
VERDICTS = {1: "better", -1: "worse", 0: "no difference seen"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&$])")


def escape(name: object) -> str:
    """Return `name` so that Markdown shows it as it is, on one line, also inside a table."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(name).split()))


def code(name: object) -> str:
    """Return `name` as inline code; a back tick or a bar in it would end the code or the cell."""
    text = " ".join(str(name).split())
    return f"`{text}`" if text and not set(text) & {"`", "|"} else escape(text)


def percent(share: float | None) -> str:
    """Return 0.8571 as "85.7", None as a dash."""
    return "–" if share is None else f"{100 * share:.1f}"


def signed(share: float | None) -> str:
    """Return 0.021 as "+2.1" (points); what rounds to zero has no sign."""
    if share is None:
        return "–"
    text = f"{100 * share:+.1f}"
    return "0.0" if float(text) == 0 else text


def interval(difference: Difference | None) -> str:
    """Return "+2.1 (+1.2 to +3.0)", in points."""
    if difference is None:
        return "–"
    ends = f"{signed(difference.low)} to {signed(difference.high)}"
    return f"{signed(difference.mean)} ({ends})"


def verdict(difference: Difference | None) -> str:
    """Return "better", "worse" or "no difference seen"; "no rows to compare" for None."""
    return "no rows to compare" if difference is None else VERDICTS[difference.sign]


def count(number: int, one: str, many: str | None = None) -> str:
    """Return "1 trial" or "1,600 rows"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """Return "4.2 s", "3 min 20 s" or "2 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def depth_in_words(structure: str, depth: Any, n_layers: int) -> str:
    """Say where the tasks part: a depth of None is the published form of the structure."""
    if structure == "single_task":
        return "nothing shared"
    if isinstance(depth, Sequence):
        return f"depths {', '.join(str(part) for part in depth)} of {n_layers} layers, by task"
    if depth is None:
        depth = 0 if structure.startswith("layerwise") else n_layers
    layers = f"{depth} of {n_layers} layers"
    if structure.startswith("layerwise"):
        return f"task tokens enter after {layers}"
    return f"the tasks part after {layers}"


def depth_in_short(structure: str, depth: Any, n_layers: int) -> str:
    """Return the depth for a table cell: "2/4", or a dash where there is none."""
    if structure == "single_task":
        return "–"
    if isinstance(depth, Sequence):
        return " ".join(str(part) for part in depth)
    if depth is None:
        depth = 0 if structure.startswith("layerwise") else n_layers
    return f"{depth}/{n_layers}"


def settings(values: Mapping[str, Any], *, leave_out: Sequence[str] = ()) -> str:
    """Return searched values as "`batches.regime` joint, `training.learning_rate` 0.0005"."""
    parts = [
        f"{code(key)} {escape(_short(value))}"
        for key, value in sorted(values.items())
        if key not in leave_out
    ]
    return ", ".join(parts)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, text_columns: int = 1) -> str:
    """Return a Markdown table, padded so that it can be read as plain text.

    Args:
        text_columns: Columns from the left that hold text; the others are numbers, set right.
    """
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(header))]
    rule = [
        "-" * width if column < text_columns else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    lines.insert(1, rule)
    padded = [
        [
            cell.ljust(width) if column < text_columns else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
