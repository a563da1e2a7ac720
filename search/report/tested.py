"""A model or a baseline that was tested, with its test rows: what tables and comparisons are of.

Of a confirmed configuration it stands for all its trainings, of any other model for the one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from search.report.intervals import Runs
from search.report.statistics import Rows, only
from search.rows import Bits
from search.trial_record import TrialRecord

AVERAGE, SINGLE_TASK, EQUAL = "average", "single_task", "equal_weights"  # objectives, roles
STRUCTURE, ARM, TASK = "structure:", "arm:", "task:"


@dataclass(frozen=True)
class Tested:
    """A model or a baseline, with what it got right.

    Args:
        name: The objective it leads ("average", "task:books"), or the baseline's name.
        dev: Score by task on dev; the mean over its runs.
        correct: Test rows by task, right or wrong, or what they add to the task's metric; of
            several runs those of the one that is best on dev.
        trial, epoch: Where the model comes from, and the epoch of that run; None for a baseline.
        regularisation: The C of a linear baseline by task.
        runs: Test rows of each run that confirmed it; empty where it is one training.
    """

    name: str
    dev: Mapping[str, float]
    dev_rows: Mapping[str, int]
    correct: Rows
    seen: Mapping[str, Bits]
    trial: TrialRecord | None = None
    epoch: int | None = None
    regularisation: Mapping[str, float] | None = None
    runs: tuple[Rows, ...] = ()

    @property
    def seeds(self) -> int:
        """Trainings that its scores are the mean of; of a baseline 1, which is all there are."""
        return len(self.runs) or 1

    @property
    def test_runs(self) -> Runs:
        """The test rows of all its runs."""
        return Runs(self.runs or (self.correct,), fixed=self.trial is None)

    @property
    def unseen_runs(self) -> Runs:
        """The same of the test rows that occur in no train split of any task."""
        keep = {task: ~seen for task, seen in self.seen.items()}
        rows = tuple(only(run, keep) for run in self.test_runs.rows)
        return Runs(rows, fixed=self.trial is None)

    @property
    def unseen(self) -> Rows:
        """The test rows that occur in no train split of any task, of `correct`."""
        return only(self.correct, {task: ~seen for task, seen in self.seen.items()})

    @property
    def structure(self) -> str | None:
        return None if self.trial is None else self.trial.structure
