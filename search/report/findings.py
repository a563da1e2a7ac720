"""What was tested in a study, taken from its journal: the models, the baselines, their rows.

The models are the winners among the configurations that were trained anew with fresh seeds
(`confirmation.py`); without a confirmation they are the leaders of the search, which `finish.py`
tests once. Both are events with the packed test rows (`rows.py`). Here they become arrays again, so
that the report can be written at any time without models, data or Optuna.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mtl_core.baselines import TFIDF, TFIDF_POOLED
from mtl_core.metrics import ACCURACY, REGRESSION, TAGGING, Metric
from search.arms import STRUCTURE as STRUCTURE_KEY
from search.arms import arm_of
from search.record import StudyRecord
from search.report.confirmation import Confirmation, confirmation
from search.report.intervals import difference, score, scores
from search.report.statistics import Difference, Score, Scored
from search.report.tested import ARM, AVERAGE, EQUAL, SINGLE_TASK, STRUCTURE, TASK, Tested
from search.report.wording import BASELINES, SHORT
from search.rows import Bits, unpack, unpack_bits
from search.trial_record import TrialRecord

if TYPE_CHECKING:
    from search.selection import Selection


OTHER_LINEAR = {
    REGRESSION: "TF-IDF ridge regression per task",
    TAGGING: "each word's most frequent tag",
}


@dataclass(frozen=True)
class Comparison:
    """How much better one is than another; dev without an interval, since dev picked the model."""

    name: str
    dev: float | None
    test: Difference | None
    unseen: Difference | None


class Findings:
    """A study's record and everything tested in it.

    Attributes:
        confirmation: What was trained anew with fresh seeds; None where nothing was, and then the
            models are of one seed each.
        models: By objective: "average", "task:<name>", "structure:<name>", and of a confirmation
            "equal_weights".
        baselines: By name: "majority", "tfidf", "tfidf_pooled".
    """

    def __init__(self, record: StudyRecord) -> None:
        self.record = record
        self.tasks = record.tasks
        self.confirmation: Confirmation | None = confirmation(record)
        self.models = (
            self.confirmation.models()
            if self.confirmation
            else {name: _model(record, event) for name, event in record.tested.items()}
        )
        self.baselines = {name: _tested(name, event) for name, event in record.baselines.items()}

    @property
    def average(self) -> Tested | None:
        """The model that is best on the mean of the tasks' dev scores."""
        return self.models.get(AVERAGE)

    @property
    def equal_weights(self) -> Tested | None:
        """The best on average among those that weight all tasks alike, if it was confirmed."""
        return self.models.get(EQUAL)

    @property
    def single_task(self) -> Tested | None:
        return self.models.get(STRUCTURE + SINGLE_TASK)

    @cached_property
    def structures(self) -> dict[str, Tested]:
        """The best model of each structure that has one tested, in the order of the table."""
        found = {
            name.removeprefix(STRUCTURE): model
            for name, model in self.models.items()
            if name.startswith(STRUCTURE)
        }
        return {name: found[name] for name in in_order(found)}

    @cached_property
    def arms(self) -> dict[str, Tested]:
        """What stands side by side in the table: the structures, or what other keys make arms."""
        found = {n.removeprefix(ARM): m for n, m in self.models.items() if n.startswith(ARM)}
        single = {SINGLE_TASK: self.single_task} if self.single_task else {}
        return {**single, **found} if found else self.structures

    @property
    def sharing(self) -> Tested | None:
        """The best model, on average on dev, that shares anything."""
        shared = [model for name, model in self.structures.items() if name != SINGLE_TASK]
        return max(shared, key=lambda model: self.dev(model) or 0.0, default=None)

    @property
    def linear(self) -> Tested | None:
        """The better of the two linear baselines, chosen on dev as everything else."""
        found = [self.baselines[name] for name in (TFIDF, TFIDF_POOLED) if name in self.baselines]
        return max(found, key=lambda baseline: self.dev(baseline) or 0.0, default=None)

    @cached_property
    def seen(self) -> Mapping[str, Bits]:
        """For each test row whether it occurs in a train split; empty before the first test."""
        first = next(iter((*self.baselines.values(), *self.models.values())), None)
        return first.seen if first else {}

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """What each task is scored by; empty before the first test."""
        first = next(iter((*self.baselines.values(), *self.models.values())), None)
        rows = first.correct if first else {}
        return {t: of.metric if isinstance(of, Scored) else ACCURACY for t, of in rows.items()}

    @property
    def of_accuracy(self) -> bool:
        """Whether accuracy is the metric of all tasks, so that scores are shares of rows."""
        return all(metric is ACCURACY for metric in self.metrics.values())

    def in_words(self, baseline: str) -> str:
        """Name a baseline: of values alone, or of tags alone, it is no logistic regression."""
        for metrics, words in OTHER_LINEAR.items():
            if baseline == TFIDF and self.metrics and set(self.metrics.values()) <= set(metrics):
                return words
        return BASELINES[baseline]

    @property
    def of_one_task(self) -> bool:
        """Whether there is nobody to share with."""
        return len(self.tasks) == 1

    @property
    def unit(self) -> str:
        """What a mean score is told in: a correlation or an F1 is no share of anything."""
        return "%" if self.of_accuracy else ""

    @property
    def has_seen_rows(self) -> bool:
        """Whether some test row occurs in a train split, so that plain and unseen scores differ."""
        return any(bool(seen.any()) for seen in self.seen.values())

    def dev(self, tested: Tested) -> float | None:
        """Return the mean over the tasks of the dev scores."""
        found = [tested.dev[task] for task in self.tasks if task in tested.dev]
        return sum(found) / len(found) if found else None

    def score(self, tested: Tested, tasks: Iterable[str] | None = None) -> Score | None:
        """Return the mean over runs and `tasks` on test, with its interval."""
        return score(tested.test_runs, self.tasks if tasks is None else tasks)

    def score_of_task(self, tested: Tested, task: str) -> Score | None:
        """Return the same of one task, where seeds count as in `intervals.differences`."""
        return scores(tested.test_runs, self.tasks).get(task)

    def score_unseen(self, tested: Tested, tasks: Iterable[str] | None = None) -> Score | None:
        return score(tested.unseen_runs, self.tasks if tasks is None else tasks)

    def test(self, tested: Tested) -> float | None:
        found = self.score(tested)
        return found.mean if found else None

    def unseen(self, tested: Tested) -> float | None:
        found = self.score_unseen(tested)
        return found.mean if found else None

    def compare(
        self, first: Tested, second: Tested, tasks: Iterable[str] | None = None
    ) -> Comparison:
        """Return how much better `first` is than `second` on the mean over `tasks`."""
        chosen = tuple(self.tasks if tasks is None else tasks)
        dev = [first.dev[task] - second.dev[task] for task in chosen]
        return Comparison(
            second.name,
            sum(dev) / len(dev) if dev else None,
            difference(first.test_runs, second.test_runs, chosen),
            difference(first.unseen_runs, second.unseen_runs, chosen),
        )

    @property
    def n_scored(self) -> int:
        """Trials that have at least one dev score, so that could have become a leader."""
        return sum(AVERAGE in trial.best for trial in self.record.trials.values())

    def arm_of(self, trial: TrialRecord) -> str:
        """Return the arm of a trial: its structure, unless other keys make the arms."""
        return arm_of(trial.config, tuple(self.record.header.get("arms") or (STRUCTURE_KEY,)))

    def n_tried(self, name: str) -> int:
        """Return how many trials of an arm, or of a structure, have a dev score."""
        scored = [trial for trial in self.record.trials.values() if AVERAGE in trial.best]
        return sum(name in (trial.structure, self.arm_of(trial)) for trial in scored)

    def luck(self, task: str) -> float:
        """Return what the best of all scored trials gains on a task's dev rows by luck alone.

        It is at most that, whatever the task's metric (`Winner.optimism` in `selection.py`).
        """
        winner = self.selection.winners.get(TASK + task)
        return winner.optimism if winner else 0.0

    @cached_property
    def selection(self) -> "Selection":
        """What the trials are worth, by estimates that pool over trials and tasks."""
        from search.selection import select  # brings scipy along

        return select(self.record)


def in_order(structures: Iterable[str]) -> list[str]:
    """Return names of structures in the order of the table of structures, others behind."""
    known = list(SHORT)
    return sorted(
        structures, key=lambda name: (known.index(name) if name in known else len(known), name)
    )


def _model(record: StudyRecord, event: Mapping[str, Any]) -> Tested:
    return _tested(event["model"], event, record.trials[event["trial"]], event["epoch"])


def _tested(
    name: str,
    event: Mapping[str, Any],
    trial: TrialRecord | None = None,
    epoch: int | None = None,
) -> Tested:
    return Tested(
        name=name,
        dev=event["dev"],
        dev_rows=event["dev_rows"],
        correct=unpack(event["correct"], event.get("metrics")),
        seen=unpack_bits(event["seen"]),
        trial=trial,
        epoch=epoch,
        regularisation=event.get("regularisation"),
    )
