"""The best on average against all it is held against, as rows with an interval to be drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

from mtl_core.baselines import TFIDF, TFIDF_POOLED
from search.report.findings import SINGLE_TASK, Findings, Tested
from search.report.statistics import Difference
from search.report.wording import interval, signed, verdict

_NAMES = {TFIDF: "TF-IDF per task", TFIDF_POOLED: "TF-IDF pooled", "majority": "majority"}


@dataclass(frozen=True)
class Line:
    """One rival: by how much the best is ahead of it."""

    name: str
    dev: str
    test: Difference
    words: str
    verdict: str
    unseen: str


@dataclass(frozen=True)
class Comparison:
    """All rivals, and the ends of the axis that their intervals are drawn on, in points."""

    lines: Sequence[Line]
    low: float
    high: float

    def place(self, share: float) -> float:
        """Return where a difference stands, in percent of the axis."""
        return round(100 * (100 * share - self.low) / (self.high - self.low), 2)


def comparison(findings: Findings) -> Comparison | None:
    """Return the comparison of the best on average; None where nothing was tested."""
    best = findings.average
    if best is None:
        return None
    lines = [
        line
        for name, other in _rivals(findings, best)
        if (line := _line(findings, best, name, other))
    ]
    if not lines:
        return None
    lowest = min(0.0, *(100 * line.test.low for line in lines))
    highest = max(0.0, *(100 * line.test.high for line in lines))
    margin = 0.06 * (highest - lowest) or 1.0
    return Comparison(lines, lowest - margin, highest + margin)


def _rivals(findings: Findings, best: Tested) -> list[tuple[str, Tested]]:
    rivals: list[tuple[str, Tested]] = []
    if best.structure == SINGLE_TASK and findings.sharing is not None:
        rivals.append((f"best that shares ({findings.sharing.structure})", findings.sharing))
    elif best.structure != SINGLE_TASK and findings.single_task is not None:
        rivals.append((SINGLE_TASK, findings.single_task))
    known = findings.baselines
    return rivals + [(label, known[name]) for name, label in _NAMES.items() if name in known]


def _line(findings: Findings, best: Tested, name: str, other: Tested) -> Line | None:
    found = findings.compare(best, other)
    if found.test is None:
        return None
    unseen = interval(found.unseen) if findings.has_seen_rows else ""
    return Line(
        name, signed(found.dev), found.test, interval(found.test), verdict(found.test), unseen
    )
