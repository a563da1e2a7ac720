"""The best on average against all it is held against, as rows with an interval to be drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

from search.report.findings import Findings
from search.report.headline import rivals
from search.report.marks import PLAIN
from search.report.statistics import Difference
from search.report.tested import Tested
from search.report.wording import interval, signed, verdict


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
    found = [_line(findings, best, name, other) for name, other in rivals(findings, best, PLAIN)]
    lines = [line for line in found if line is not None]
    if not lines:
        return None
    lowest = min(0.0, *(100 * line.test.low for line in lines))
    highest = max(0.0, *(100 * line.test.high for line in lines))
    margin = 0.06 * (highest - lowest) or 1.0
    return Comparison(lines, lowest - margin, highest + margin)


def _line(findings: Findings, best: Tested, name: str, other: Tested) -> Line | None:
    found = findings.compare(best, other)
    if found.test is None:
        return None
    return Line(
        name=name,
        dev=signed(found.dev),
        test=found.test,
        words=interval(found.test),
        verdict=verdict(found.test, with_detectable=findings.confirmation is not None),
        unseen=interval(found.unseen) if findings.has_seen_rows else "",
    )
