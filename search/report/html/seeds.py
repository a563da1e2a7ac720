"""What was trained anew: each configuration of the shortlist with its runs, and how it stands."""

from dataclasses import dataclass

from search.report.by_seed import how_many, roles_in_words
from search.report.confirmation import Confirmation, Subject
from search.report.findings import Findings
from search.report.html.figures import INK, Figure, Looks, Trace, View, hundredths, plain, ticks
from search.report.intervals import Runs, score
from search.report.statistics import Difference
from search.report.wording import SHORT

_SPREAD = 0.24


@dataclass(frozen=True)
class Line:
    """One configuration of the shortlist.

    Args:
        difference: Less the confirmed single-task training; None for itself.
    """

    subject: Subject
    roles: str
    difference: Difference | None


def lines(findings: Findings) -> list[Line]:
    """Return what was confirmed, the best on dev first."""
    found = findings.confirmation
    if found is None:
        return []
    return [_line(findings, found, subject) for subject in _ordered(found)]


def seeds_figure(findings: Findings, looks: Looks) -> Figure | None:
    """Return the test score of every run, and the mean of each configuration with its interval."""
    found = findings.confirmation
    if found is None:
        return None
    subjects = _ordered(found)[::-1]
    names = [f"{subject.trial.id} {_short(subject)}" for subject in subjects]
    layout = {
        "xaxis": {"title": {"text": "test, mean of the tasks"}, "zeroline": False},
        "yaxis": {**ticks(names), "range": [-0.7, len(names) - 0.3]},
        "showlegend": False,
    }
    return Figure(
        name="seeds",
        title="Every run",
        words="Small marks: runs with fresh seeds, each with its own epoch, chosen on dev. Large "
        f"marks: their means with 95% intervals over seeds and rows. {how_many(findings, found)}",
        views=[View("", [_runs(findings, subjects, looks), _means(subjects, looks)], layout)],
        height=130 + 34 * len(names),
        columns={"x": "test_mean_percent", "y": "configuration"},
    )


def _runs(findings: Findings, subjects: list[Subject], looks: Looks) -> Trace:
    x: list[float | None] = []
    y: list[float] = []
    colours: list[str] = []
    texts: list[str] = []
    for at, subject in enumerate(subjects):
        for number, (run, rows) in enumerate(zip(subject.runs, subject.tested.runs, strict=True)):
            one = score(Runs((rows,)), findings.tasks)
            x += hundredths([one.mean if one else None])
            y.append(at + _SPREAD * (0.5 if number % 2 else -0.5))
            colours.append(looks.colour(subject.trial.structure))
            texts.append(f"{plain(run.id)}, epoch {run.epoch}")
    return {
        "type": "scatter", "mode": "markers", "name": "run", "x": x, "y": y, "text": texts,
        "marker": {"color": colours, "size": 6, "opacity": 0.6},
        "hovertemplate": "%{text}: %{x:.1f}<extra></extra>",
    }  # fmt: skip


def _means(subjects: list[Subject], looks: Looks) -> Trace:
    known = [(at, s, s.test) for at, s in enumerate(subjects) if s.test is not None]
    return {
        "type": "scatter", "mode": "markers", "name": "mean",
        "x": hundredths([test.mean for _, _, test in known]), "y": [at for at, _, _ in known],
        "error_x": {
            "array": hundredths([test.high - test.mean for _, _, test in known]),
            "arrayminus": hundredths([test.mean - test.low for _, _, test in known]),
            "symmetric": False, "thickness": 1.4, "width": 4, "color": INK,
        },
        "marker": {
            "color": [looks.colour(s.trial.structure) for _, s, _ in known],
            "symbol": [looks.symbol(s.trial.structure) for _, s, _ in known], "size": 11,
        },
        "text": [plain(s.trial.id) for _, s, _ in known],
        "hovertemplate": "%{text}: %{x:.1f}<extra></extra>",
    }  # fmt: skip


def _line(findings: Findings, found: Confirmation, subject: Subject) -> Line:
    single = found.single_task
    difference = None
    if single is not None and single is not subject:
        difference = findings.compare(subject.tested, single.tested).test
    return Line(subject, ", ".join(roles_in_words(subject.roles)) or "–", difference)


def _ordered(found: Confirmation) -> list[Subject]:
    return sorted(found.subjects, key=lambda subject: -subject.dev)


def _short(subject: Subject) -> str:
    return SHORT.get(subject.trial.structure, subject.trial.structure)
