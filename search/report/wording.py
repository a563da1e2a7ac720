"""Numbers, names and verdicts as a reader meets them; Markdown tables that are aligned as text too.

Words follow the numbers: "better" and "worse" only where the interval leaves zero out, "no
difference seen" where it does not. Names come from users' files, so every one is escaped.
"""

import json
import re
from collections.abc import Mapping, Sequence
from textwrap import TextWrapper
from typing import Any

from search.report.statistics import Difference, Score
from search.trial_record import TrialRecord

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
WIDTH = 100
NOTHING = "–"
VERDICTS = {1: "better", -1: "worse", 0: "no difference seen"}
# An underscore between letters is no emphasis, and `health_care` reads better without strokes.
_SPECIAL = re.compile(r"([\\`*{}\[\]<>#|~!&$]|(?<![^\W_])_|_(?![^\W_]))")


def escape(name: object) -> str:
    """Return `name` so that Markdown shows it as it is, on one line, also inside a table."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(name).split()))


def code(name: object) -> str:
    """Return `name` as inline code; a back tick or a bar in it would end the code or the cell."""
    text = " ".join(str(name).split())
    return f"`{text}`" if text and not set(text) & {"`", "|"} else escape(text)


def short(name: str) -> str:
    """Return the head of an arm's column: "S-P" for "stack_pooling", "S-P, n_layers 4" likewise."""
    return ", ".join(SHORT.get(part, part) for part in name.split(", "))


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


def score_interval(score: Score | None, unit: str = "%") -> str:
    """Return "88.3% (87.1 to 89.4)"."""
    if score is None:
        return "–"
    return f"{percent(score.mean)}{unit} ({percent(score.low)} to {percent(score.high)})"


def plus_minus(score: Score | None) -> str:
    """Return "88.3 ±1.2": the mean and half the interval's width."""
    if score is None:
        return "–"
    return f"{percent(score.mean)} ±{percent((score.high - score.low) / 2)}"


def verdict(difference: Difference | None, *, with_detectable: bool = False) -> str:
    """Return "better", "worse" or "no difference seen"; "no rows to compare" for None.

    Args:
        with_detectable: Say what would have been seen, where nothing was.
    """
    if difference is None:
        return "no rows to compare"
    word = VERDICTS[difference.sign]
    if with_detectable and difference.one_seed:
        return f"{word} (1 seed)"
    if with_detectable and not difference.sign:
        far = "none" if difference.detectable is None else percent(difference.detectable)
        return f"{word} ({far} detectable)"
    return word


def p_value(p: float | None) -> str:
    """Return "0.03", or "< 0.001"."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def listed(words: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


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


def depth_in_words(trial: TrialRecord) -> str:
    """Say where the tasks of a trial part."""
    depth, n_layers = _depth(trial.config), trial.config["encoder"]["n_layers"]
    if trial.structure == "single_task":
        return "nothing shared"
    if isinstance(depth, Sequence):
        return f"depths {', '.join(map(str, depth))} of {n_layers} layers, by task"
    layers = f"{depth} of {count(n_layers, 'layer')}"
    enter = trial.structure.startswith("layerwise")
    return f"task tokens enter after {layers}" if enter else f"tasks part after {layers}"


def depth_cell(trial: TrialRecord) -> str:
    """Return the depth for a table cell: "2/4", or a dash where there is none."""
    depth, n_layers = _depth(trial.config), trial.config["encoder"]["n_layers"]
    if trial.structure == "single_task":
        return "–"
    return " ".join(map(str, depth)) if isinstance(depth, Sequence) else f"{depth}/{n_layers}"


def depth_value(trial: TrialRecord) -> int | list[int] | None:
    """Return the depth of a trial, or its depths by task; None where nothing is shared."""
    if trial.structure == "single_task":
        return None
    depth = _depth(trial.config)
    return list(depth) if isinstance(depth, Sequence) else int(depth)


def model_cell(trial: TrialRecord, epoch: int | None, n_runs: int = 0) -> str:
    """Return "t0012, epoch 7"; of several runs "t0012, 3 runs", since each has its own epoch."""
    what = f"{n_runs} run{'' if n_runs == 1 else 's'}" if n_runs else f"epoch {epoch}"
    return f"{escape(trial.id)}, {what}"


def settings(values: Mapping[str, Any], *, leave_out: Sequence[str] = ()) -> str:
    """Return searched values as "`batches.regime` joint, `training.learning_rate` 0.0005"."""
    parts = [
        f"{code(key)} {escape(_short(value))}"
        for key, value in sorted(values.items())
        if key not in leave_out
    ]
    return ", ".join(parts)


def value_in_words(value: Any) -> str:
    """Return a value of a configuration: numbers short, nothing as a dash, lists as JSON."""
    if value is None:
        return NOTHING
    if isinstance(value, float):
        return _short(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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


def wrapped(text: str) -> str:
    """Return the text with its prose broken into lines of at most `WIDTH`; tables and code stay."""
    lines: list[str] = []
    in_code = False
    for line in text.split("\n"):
        in_code ^= line.startswith("```")
        if in_code or len(line) <= WIDTH or line.startswith("|"):
            lines.append(line)
        else:
            indent = "  " if line.startswith("- ") else ""
            fill = TextWrapper(WIDTH, subsequent_indent=indent, break_long_words=False)
            fill.break_on_hyphens = False
            lines += fill.wrap(line)
    return "\n".join(lines)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _depth(config: Mapping[str, Any]) -> Any:
    """Return the depth; where none is given, that of the published form."""
    sharing = config["sharing"]
    depth = sharing.get("divergence_depth")
    if depth is not None:
        return depth
    return 0 if sharing["structure"].startswith("layerwise") else config["encoder"]["n_layers"]
