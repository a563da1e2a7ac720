"""The best configuration of each task, as the selection has it, beside the one that looks best.

A task's own dev rows are few, so its winner is chosen by estimates that pool over tasks and trials
(`search/selection.py`). What was confirmed or tested for the task has its test score.
"""

from dataclasses import dataclass

from search.objectives import TASK
from search.report.findings import Findings
from search.report.statistics import Score
from search.selection import Selection
from search.trial_record import TrialRecord


@dataclass(frozen=True)
class BestOfTask:
    """One line of the table.

    Args:
        estimate, error: What the trial is worth on the task, as shares, and its standard error.
        probability: That no other trial is better.
        raw: The trial that looks best, by its dev score alone, and that score.
        optimism: By how much that score is too high at most.
        test: On the task's test rows; None where the trial was not tested for the task.
    """

    task: str
    trial: TrialRecord
    epoch: int
    estimate: float
    error: float
    probability: float
    raw: TrialRecord
    raw_score: float
    optimism: float
    test: Score | None


def best_of_tasks(findings: Findings, found: Selection) -> list[BestOfTask]:
    """Return the best of each task that has a score, in the order of the tasks."""
    rows = []
    for task in findings.tasks:
        winner = found.winners.get(TASK + task)
        if winner is None:
            continue
        of, trials = found.estimates[TASK + task], findings.record.trials
        estimate = of[winner.trial]
        rows.append(
            BestOfTask(
                task=task,
                trial=trials[winner.trial],
                epoch=found.epochs[winner.trial],
                estimate=estimate.mean,
                error=estimate.error,
                probability=estimate.probability_best,
                raw=trials[winner.raw],
                raw_score=of[winner.raw].raw,
                optimism=winner.optimism,
                test=_test(findings, task, winner.trial),
            )
        )
    return rows


def _test(findings: Findings, task: str, trial: str) -> Score | None:
    """Return the test score of that trial, under whatever name it was tested."""
    for model in findings.models.values():
        if model.trial is not None and model.trial.id == trial:
            return findings.score_of_task(model, task)
    return None
