"""The arms of a study, task by task: each with its score, its interval, and whether it is the best.

An arm is the best model of one structure, or a cheap baseline. `report.html`, `branchpoint show`
and `branchpoint compare` all take their table from here. Before anything was tested the scores are
those that the search has seen on dev, and `Arms.split` says so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from search.report.findings import STRUCTURE, Findings, Tested, in_order
from search.report.statistics import (
    CONFIDENCE,
    OfTask,
    Rows,
    Scored,
    mean_score,
    paired_difference,
)
from search.report.wording import BASELINES, SHORT
from search.trial_record import TrialRecord

Mark = Literal["best", "level", ""]  # level: no difference seen from the best of its line
HEADS = {"tfidf": "TF-IDF", "tfidf_pooled": "pooled", "majority": "majority"}
MEAN = "mean"
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True)
class Cell:
    """The score of an arm on a task, as a share, with the ends of its 95 % interval."""

    score: float | None
    low: float | None = None
    high: float | None = None
    mark: Mark = ""


@dataclass(frozen=True)
class Arm:
    """One column of the table.

    Args:
        name: The structure or the baseline; `head` is short for it.
        cells: By task, and `MEAN`.
        trial, epoch: Where the model comes from; None for a baseline.
        n_tried: Trials of which it is the best; 0 for a baseline.
        regularisation: The C of a linear baseline by task.
    """

    name: str
    head: str
    cells: Mapping[str, Cell]
    trial: TrialRecord | None = None
    epoch: int | None = None
    n_tried: int = 0
    regularisation: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Arms:
    """All arms, and which rows their scores are of."""

    split: Literal["test", "dev"]
    all: tuple[Arm, ...]

    def __bool__(self) -> bool:
        return bool(self.all)


def find_arms(findings: Findings, *, unseen: bool = False) -> Arms:
    """Return the arms of a study: structures in the order of their table, then baselines.

    Args:
        unseen: Score the test rows alone that occur in no train split.
    """
    if not findings.structures:
        return Arms("dev", tuple(_on_dev(findings)))
    tested = {**findings.structures}
    tested |= {name: findings.baselines[name] for name in HEADS if name in findings.baselines}
    rows = {name: one.unseen if unseen else one.correct for name, one in tested.items()}
    marks = {task: _marks(rows, [task]) for task in findings.tasks}
    marks[MEAN] = _marks(rows, findings.tasks)
    arms = []
    for name, one in tested.items():
        cells = {task: _cell(rows[name], [task], marks[task][name]) for task in findings.tasks}
        cells[MEAN] = _cell(rows[name], findings.tasks, marks[MEAN][name])
        arms.append(_arm(findings, name, one, cells))
    return Arms("test", tuple(arms))


def one_interval(rows: OfTask) -> tuple[float, float]:
    """Return the 95 % interval of one score: Wilson's (1927) of accuracy, else the delta method."""
    n = len(rows)
    if isinstance(rows, Scored):
        width = _Z * math.sqrt(_variance(rows))
        return rows.mean() - width, rows.mean() + width
    share = float(rows.mean())
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    width = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n * n))
    return max(0.0, centre - width), min(1.0, centre + width)


def mean_interval(rows: Sequence[OfTask]) -> tuple[float, float]:
    """Return the 95 % interval of the mean over tasks, each counted alike."""
    if len(rows) == 1:
        return one_interval(rows[0])
    mean = sum(float(of_task.mean()) for of_task in rows) / len(rows)
    width = _Z * math.sqrt(sum(map(_variance, rows))) / len(rows)
    return mean - width, mean + width


def _cell(rows: Rows, tasks: Sequence[str], mark: Mark) -> Cell:
    score = mean_score(rows, tasks)
    if score is None:
        return Cell(None)
    return Cell(score, *mean_interval([rows[t] for t in tasks if len(rows[t])]), mark)


def _marks(rows: Mapping[str, Rows], tasks: Sequence[str]) -> dict[str, Mark]:
    """Mark the best, and those from which the paired interval sees no difference."""
    scores = {name: mean_score(of_arm, tasks) for name, of_arm in rows.items()}
    known = {name: score for name, score in scores.items() if score is not None}
    marks: dict[str, Mark] = dict.fromkeys(rows, "")
    if not known:
        return marks
    best = max(known, key=lambda name: known[name])
    for name in known:
        found = paired_difference(rows[best], rows[name], tasks)
        marks[name] = "level" if found is not None and found.sign == 0 else ""
        if known[name] == known[best]:
            marks[name] = "best"
    return marks


def _arm(findings: Findings, name: str, one: Tested, cells: Mapping[str, Cell]) -> Arm:
    return Arm(
        name=name,
        head=HEADS.get(name) or SHORT.get(name, name),
        cells=cells,
        trial=one.trial,
        epoch=one.epoch,
        n_tried=0 if one.trial is None else findings.n_tried(name),
        regularisation=one.regularisation,
    )


def _on_dev(findings: Findings) -> list[Arm]:
    """Return what leads each structure so far, with the dev scores of its trial."""
    leaders = findings.record.leaders()
    names = [name.removeprefix(STRUCTURE) for name in leaders if name.startswith(STRUCTURE)]
    scores: dict[str, dict[str, float]] = {}
    for name in in_order(names):
        leader = leaders[STRUCTURE + name]
        reports = findings.record.trials[leader.trial].reports
        report = next(r for r in reports if r.epoch == leader.epoch)
        scores[name] = {**report.scores, MEAN: leader.score}
    arms = []
    for name, of_arm in scores.items():
        cells = {}
        for task, score in of_arm.items():
            best = max(other.get(task, -math.inf) for other in scores.values())
            known = not math.isnan(score)
            cells[task] = Cell(score if known else None, mark="best" if score == best else "")
        leader = leaders[STRUCTURE + name]
        trial, head = findings.record.trials[leader.trial], SHORT.get(name, name)
        arms.append(Arm(name, head, cells, trial, leader.epoch, findings.n_tried(name)))
    return arms


def _variance(rows: OfTask) -> float:
    if isinstance(rows, Scored):
        return float(rows.influences().var(ddof=1) / len(rows)) if len(rows) > 1 else 1.0
    share = float(rows.mean())
    return share * (1 - share) / len(rows)


def full_name(arm: Arm) -> str:
    """Return the arm's name as words: the structure as it is written, a baseline in full."""
    return BASELINES.get(arm.name, arm.name)
