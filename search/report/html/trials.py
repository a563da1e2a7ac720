"""All trials of a study as one table of columns: what the figures on settings draw from.

A column is a searched key with the value of each trial, placed on an axis: numbers at themselves
(log where the space says so), anything else at 0, 1, ... in the order of its options. A key that a
trial does not have stands at `ABSENT` ticks below.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from search.domains import FloatRange, IntRange
from search.report.findings import in_order
from search.report.html.figures import short
from search.report.tested import AVERAGE
from search.report.wording import SHORT
from search.space import Space
from search.trial_record import TrialRecord

ABSENT = "not set"
MAX_KEYS = 12


@dataclass(frozen=True)
class Column:
    """One searched key.

    Args:
        key: As the space writes it; `head` is its last part, or all of it where two end alike.
        places: Where each trial stands on the axis; None where the key does not apply.
        labels: Texts at 0, 1, ... of an axis of options; empty for numbers.
        log: Whether places are to be drawn on a logarithmic axis.
    """

    key: str
    head: str
    places: Sequence[float | None]
    labels: Sequence[str] = ()
    log: bool = False


def scored(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that have a dev score."""
    return [trial for trial in trials if AVERAGE in trial.best]


def columns(space: Space, trials: Sequence[TrialRecord]) -> list[Column]:
    """Return the searched keys in which the trials differ, in the order of the space."""
    found = []
    for key in dict.fromkeys([*space.domains, *(key for trial in trials for key in trial.values)]):
        values = [trial.values.get(key) for trial in trials]
        if len({_text(value) for value in values}) > 1:
            found.append(_column(key, values, log=_is_log(space, key)))
    tails = [column.key.rpartition(".")[2] for column in found]
    return [
        column if tails.count(column.head) == 1 else Column(**{**vars(column), "head": column.key})
        for column in found
    ]


def _column(key: str, values: Sequence[Any], *, log: bool) -> Column:
    head = key.rpartition(".")[2]
    known = [value for value in values if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        places = [None if value is None else float(value) for value in values]
        return Column(key, head, places, log=log and all(value > 0 for value in known))
    texts = in_order(set(map(_text, known)))
    at = {text: float(place) for place, text in enumerate(texts)}
    return Column(
        key,
        head,
        [None if value is None else at[_text(value)] for value in values],
        [SHORT.get(text) or short(text) for text in texts],
    )


def _is_log(space: Space, key: str) -> bool:
    alternatives = space.domains.get(key, ())
    ranges = [a.domain for a in alternatives if isinstance(a.domain, FloatRange | IntRange)]
    return any(found.log for found in ranges)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def decades(low: float, high: float) -> tuple[list[float], list[str]]:
    """Return ticks of a logarithmic axis, and what they say: 1, 2, 5, 10, ..., and its ends."""
    steps = [
        step * 10.0**power
        for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for step in (1, 2, 5)
    ]
    apart = (high / low) ** 0.12
    kept = [step for step in steps if low * apart < step < high / apart]
    kept = sorted({low, *kept[:: max(1, len(kept) // 5)], high})
    return kept, [f"{step:.2g}" for step in kept]
