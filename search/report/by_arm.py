"""The arms of a study, task by task: each with its score, its interval, and whether it is the best.

An arm is the winner among one structure (or whatever keys make the arms), or a cheap baseline.
`report.html`, `branchpoint show` and `branchpoint compare` all take their table from here. Scores
are those on test: the mean over the runs with fresh seeds where there was a confirmation. Before
anything was tested they are those that the search has seen on dev, and `Arms.split` says so.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from search.report.findings import Findings, in_order
from search.report.intervals import ROUNDING, Runs, difference, differences, score, scores
from search.report.statistics import Difference, Score
from search.report.tested import STRUCTURE, Tested
from search.report.wording import short
from search.trial_record import TrialRecord

Mark = Literal["best", "level", ""]  # level: no difference seen from the best of its line
HEADS = {"tfidf": "TF-IDF", "tfidf_pooled": "pooled", "majority": "majority"}
MEAN = "mean of the tasks"


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
        name: The structure or the baseline; `head` is short for it, `full_name` is it in words.
        cells: By task; `mean` is that of their mean.
        trial, epoch: Where the model comes from; None for a baseline.
        n_runs: Runs with fresh seeds that its scores are the mean of; 0 where it is one training.
        n_tried: Trials of the arm.
        regularisation: The C of a linear baseline by task.
    """

    name: str
    head: str
    full_name: str
    cells: Mapping[str, Cell]
    mean: Cell
    trial: TrialRecord | None = None
    epoch: int | None = None
    n_runs: int = 0
    n_tried: int = 0
    regularisation: Mapping[str, float] | None = None

    @property
    def searched_epoch(self) -> int | None:
        """The epoch that its trial is judged by in the search, which has the curves."""
        if self.trial is None or not self.n_runs:
            return self.epoch
        best = self.trial.leader
        return best.epoch if best else None


@dataclass(frozen=True)
class Arms:
    """All arms, and which rows their scores are of."""

    split: Literal["test", "dev"]
    all: tuple[Arm, ...]

    def __bool__(self) -> bool:
        return bool(self.all)


def find_arms(findings: Findings, *, unseen: bool = False) -> Arms:
    """Return the arms of a study in the order of their table, then the baselines.

    Args:
        unseen: Score the test rows alone that occur in no train split.
    """
    if not findings.arms:
        return Arms("dev", tuple(_on_dev(findings)))
    tested = {**findings.arms}
    tested |= {name: findings.baselines[name] for name in HEADS if name in findings.baselines}
    rows = {name: one.unseen_runs if unseen else one.test_runs for name, one in tested.items()}
    lines, means = _lines(rows, findings.tasks), _means(rows, findings.tasks)
    return Arms(
        "test",
        tuple(
            _arm(findings, name, one, {task: lines[task][name] for task in lines}, means[name])
            for name, one in tested.items()
        ),
    )


def _lines(rows: Mapping[str, Runs], tasks: Sequence[str]) -> dict[str, dict[str, Cell]]:
    """Return the cells of each task; seeds count as elsewhere (`intervals.scores`)."""
    by_arm = {name: scores(runs, tasks) for name, runs in rows.items()}

    @cache
    def apart(best: str, name: str) -> dict[str, Difference]:
        return differences(rows[best], rows[name], tasks)

    return {
        task: _cells(
            {name: of.get(task) for name, of in by_arm.items()},
            lambda best, name, task=task: apart(best, name).get(task),  # type: ignore[misc]
        )
        for task in tasks
    }


def _means(rows: Mapping[str, Runs], tasks: Sequence[str]) -> dict[str, Cell]:
    return _cells(
        {name: score(runs, tasks) for name, runs in rows.items()},
        lambda best, name: difference(rows[best], rows[name], tasks),
    )


def _cells(
    scores: Mapping[str, Score | None], apart: Callable[[str, str], Difference | None]
) -> dict[str, Cell]:
    """Return the cell of each arm, with marks: the best, and those not seen to differ from it.

    Args:
        apart: Of two arms the first less the second.
    """
    known = {name: one.mean for name, one in scores.items() if one is not None}
    best = max(known, key=lambda name: known[name], default="")
    cells = {}
    for name, one in scores.items():
        if one is None:
            cells[name] = Cell(None)
            continue
        found = None if name == best else apart(best, name)
        mark: Mark = "level" if found is not None and found.sign == 0 else ""
        mark = "best" if math.isclose(one.mean, known[best], abs_tol=ROUNDING) else mark
        cells[name] = Cell(one.mean, one.low, one.high, mark)
    return cells


def _arm(findings: Findings, name: str, one: Tested, cells: Mapping[str, Cell], mean: Cell) -> Arm:
    return Arm(
        name=name,
        head=HEADS.get(name) or short(name),
        full_name=findings.in_words(name) if name in HEADS else name,
        cells=cells,
        mean=mean,
        trial=one.trial,
        epoch=one.epoch,
        n_runs=len(one.runs),
        n_tried=findings.n_tried(name),
        regularisation=one.regularisation,
    )


def _on_dev(findings: Findings) -> list[Arm]:
    """Return what leads each structure so far, with the dev scores of its trial."""
    leaders = findings.record.leaders()
    names = in_order(n.removeprefix(STRUCTURE) for n in leaders if n.startswith(STRUCTURE))
    models = {name: leaders[STRUCTURE + name] for name in names}
    scores: dict[str, dict[str, float]] = {}
    for name, leader in models.items():
        reports = findings.record.trials[leader.trial].reports
        report = next(r for r in reports if r.epoch == leader.epoch)
        scores[name] = {**report.scores, MEAN: report.average}
    arms = []
    for name, leader in models.items():
        cells = {task: _dev_cell(scores, name, task) for task in (*findings.tasks, MEAN)}
        trial, mean = findings.record.trials[leader.trial], cells.pop(MEAN)
        arm = Arm(name, short(name), name, cells, mean, trial, leader.epoch)
        arms.append(replace(arm, n_tried=findings.n_tried(name)))
    return arms


def _dev_cell(scores: Mapping[str, Mapping[str, float]], name: str, task: str) -> Cell:
    one = scores[name].get(task, math.nan)
    if math.isnan(one):
        return Cell(None)
    best = max(of.get(task, -math.inf) for of in scores.values())
    return Cell(one, mark="best" if one == best else "")
