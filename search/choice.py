"""The configuration that a study would take: on average, for the worst task, or for one of them."""

from dataclasses import dataclass
from typing import Any

from search.objectives import MEAN, WORST_TASK, objective_of
from search.record import StudyRecord
from search.report.confirmation import confirmation
from search.report.tested import AVERAGE, TASK
from search.snapshots import best_runs


@dataclass(frozen=True)
class Choice:
    """The configuration that is best on dev, on average or for one task.

    Args:
        objective: "average", "worst_task" or a task's name.
        epoch: Of the exported run, if it is confirmed; otherwise the trial's best.
        score: Its dev score: the mean over its runs with fresh seeds. As long as there are none
            that of its trial, the best of many, which flatters.
        values: The searched keys and what they are.
        config: The whole configuration, section by section (`TrialConfig.from_dict`).
        runs: Trainings with fresh seeds that confirmed it.
    """

    objective: str
    trial: str
    epoch: int
    score: float
    values: dict[str, Any]
    config: dict[str, Any]
    runs: int = 0


def best_choice(record: StudyRecord, task: str | None) -> Choice | None:
    """Return the winner of the confirmation, or before there is one the leader of the search."""
    return _confirmed(record, task) or _leading(record, task)


def _confirmed(record: StudyRecord, task: str | None) -> Choice | None:
    role = _role(task)
    found = confirmation(record)
    winner = found.winner(role) if found else None
    if winner is None:
        return None
    runs, trial = best_runs(record, winner.trial.id), winner.trial
    of = objective_of(MEAN if task is None else role, record.tasks)
    return Choice(
        objective=task or AVERAGE,
        trial=trial.id,
        epoch=(runs.get(role) or runs[AVERAGE]).epoch,
        score=of.of_scores(winner.tested.dev),
        values=trial.values,
        config=trial.config,
        runs=len(winner.runs),
    )


def _leading(record: StudyRecord, task: str | None) -> Choice | None:
    leader = record.leaders().get(_role(task))
    if leader is None:
        return None
    trial = record.trials[leader.trial]
    return Choice(
        objective=task or AVERAGE,
        trial=trial.id,
        epoch=leader.epoch,
        score=leader.score,
        values=trial.values,
        config=trial.config,
    )


def _role(task: str | None) -> str:
    """Return what the shortlist and the leaders call it."""
    if task is None:
        return AVERAGE
    return task if task == WORST_TASK else TASK + task
