"""What the confirmation found: each shortlisted configuration over its runs, and who wins.

A winner is chosen on dev, by the mean of its runs there, and told by its test rows. On average, of
a structure and among equal weights, all that was confirmed competes; best for one task or the worst
is whom the shortlist says (`selection.py` pools over tasks and trials, which few dev rows cannot).
Every interval is over seeds and rows (`intervals.py`). `Findings.confirmation` holds it all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from search.confirm_record import RunRecord
from search.objectives import WORST_TASK, objective_of
from search.record import StudyRecord
from search.report.intervals import difference, differences, holm, score, scores
from search.report.statistics import Difference, Score
from search.report.tested import ARM, AVERAGE, EQUAL, SINGLE_TASK, STRUCTURE, TASK, Tested
from search.rows import unpack, unpack_bits
from search.trial_record import Failure, TrialRecord


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A configuration that was trained anew, at least once to the end.

    Args:
        trial: The trial of the search that had it first.
        roles: What the shortlist has it for: "average", "task:<name>", "worst_task", ...
        runs: Its trainings, in the order of their numbers, each with seed, epoch and dev.
        failures: Why others of its trainings came to nothing.
        tested: All of its runs as one model: what the tables and comparisons take.
        test, unseen: Mean over the tasks, on all test rows and on those in no train split; None
            where there are no such rows.
        by_task, unseen_by_task: The same of each task that has rows.
    """

    trial: TrialRecord
    roles: tuple[str, ...]
    runs: tuple[RunRecord, ...]
    failures: tuple[Failure, ...]
    tested: Tested
    test: Score | None
    unseen: Score | None
    by_task: Mapping[str, Score]
    unseen_by_task: Mapping[str, Score]

    @property
    def dev(self) -> float:
        """The mean over runs and tasks of the dev scores."""
        return sum(run.dev_average for run in self.runs) / len(self.runs)

    @property
    def best_run(self) -> RunRecord:
        """The run that is best on dev: the one that is exported where the subject wins."""
        return max(self.runs, key=lambda run: run.dev_average)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One model less another on test, on average and task by task.

    Args:
        test, unseen: On the mean over the tasks; None where there are no such rows.
        by_task: Each with the p-value after Holm's correction over the tasks in `adjusted`, which
            decides whether it is better, worse, or no difference seen (`Difference.sign`).
        unseen_by_task: The same on the rows in no train split.
    """

    test: Difference | None
    unseen: Difference | None
    by_task: Mapping[str, Difference]
    unseen_by_task: Mapping[str, Difference]


@dataclass(frozen=True)
class Confirmation:
    """All subjects that have a confirmed run.

    Args:
        subjects: In the order of the shortlist.
    """

    tasks: tuple[str, ...]
    subjects: tuple[Subject, ...]

    def winner(self, role: str) -> Subject | None:
        """Return who is best under a role; None where nobody was confirmed for it."""
        if role.startswith(TASK) or role == WORST_TASK:
            of = objective_of(role, self.tasks).of_scores
            holders = [subject for subject in self.subjects if role in subject.roles]
            return max(holders, key=lambda subject: of(subject.tested.dev), default=None)
        return max(self._candidates(role), key=lambda subject: subject.dev, default=None)

    @property
    def best(self) -> Subject | None:
        """The best on average."""
        return self.winner(AVERAGE)

    @property
    def equal_weights(self) -> Subject | None:
        """The best on average among those that weight all tasks alike."""
        return self.winner(EQUAL)

    @property
    def single_task(self) -> Subject | None:
        return self.winner(STRUCTURE + SINGLE_TASK)

    @property
    def n_runs(self) -> int:
        return sum(len(subject.runs) for subject in self.subjects)

    def models(self) -> dict[str, Tested]:
        """Return the winners by role: "average", "task:..", "structure:..", "arm:..", ..."""
        structures = (STRUCTURE + subject.trial.structure for subject in self.subjects)
        arms = (r for subject in self.subjects for r in subject.roles if r.startswith(ARM))
        names = [AVERAGE, EQUAL, *(TASK + task for task in self.tasks), *structures, *arms]
        found = {name: self.winner(name) for name in dict.fromkeys(names)}
        return {
            name: replace(subject.tested, name=name) for name, subject in found.items() if subject
        }

    def _candidates(self, role: str) -> list[Subject]:
        if role == AVERAGE:
            return list(self.subjects)
        if role == EQUAL:
            return [one for one in self.subjects if weights_alike(one.trial)]
        if role.startswith(STRUCTURE):
            name = role.removeprefix(STRUCTURE)
            return [one for one in self.subjects if one.trial.structure == name]
        return [one for one in self.subjects if role in one.roles]


def confirmation(record: StudyRecord) -> Confirmation | None:
    """Return what was confirmed; None where nothing was."""
    known = record.confirmation
    listed = [*known.shortlist, *(run.trial for run in known.confirmed())]  # of a former list too
    subjects = [_subject(record, trial) for trial in dict.fromkeys(listed)]
    found = tuple(subject for subject in subjects if subject is not None)
    return Confirmation(record.tasks, found) if found else None


def compared(first: Tested, second: Tested, tasks: Iterable[str]) -> Compared:
    """Return `first` less `second`, with Holm's correction over the tasks."""
    chosen = tuple(tasks)
    return Compared(
        test=difference(first.test_runs, second.test_runs, chosen),
        unseen=difference(first.unseen_runs, second.unseen_runs, chosen),
        by_task=corrected(differences(first.test_runs, second.test_runs, chosen)),
        unseen_by_task=corrected(differences(first.unseen_runs, second.unseen_runs, chosen)),
    )


def weights_alike(trial: TrialRecord) -> bool:
    """Whether a trial weights all tasks alike."""
    return trial.config["weighting"]["method"] == "equal"


def corrected(found: Mapping[str, Difference]) -> dict[str, Difference]:
    """Return the differences with the p-values of Holm's correction over them."""
    adjusted = holm([one.p or 0.0 for one in found.values()])
    return {
        task: replace(one, adjusted=p)
        for (task, one), p in zip(found.items(), adjusted, strict=True)
    }


def _subject(record: StudyRecord, trial: str) -> Subject | None:
    mine = record.confirmation.of(trial)
    runs = tuple(run for run in mine if run.state == "confirmed")
    if not runs:
        return None
    tested = _tested(record, runs)
    tasks = record.tasks
    return Subject(
        trial=record.trials[trial],
        roles=record.confirmation.shortlist.get(trial, ()),
        runs=runs,
        failures=tuple(run.failure for run in mine if run.failure is not None),
        tested=tested,
        test=score(tested.test_runs, tasks),
        unseen=score(tested.unseen_runs, tasks),
        by_task=scores(tested.test_runs, tasks),
        unseen_by_task=scores(tested.unseen_runs, tasks),
    )


def _tested(record: StudyRecord, runs: tuple[RunRecord, ...]) -> Tested:
    """Return the runs of a trial as one model."""
    best = max(runs, key=lambda run: run.dev_average)
    events = {run.id: run.found or {} for run in runs}
    rows = {name: unpack(event["correct"], event.get("metrics")) for name, event in events.items()}
    dev = {task: sum(run.dev[task] for run in runs) / len(runs) for task in best.dev}
    return Tested(
        name=best.trial,
        dev=dev,
        dev_rows=events[best.id]["dev_rows"],
        correct=rows[best.id],
        seen=unpack_bits(events[best.id]["seen"]),
        trial=record.trials[best.trial],
        epoch=best.epoch,
        runs=tuple(rows.values()),
    )
