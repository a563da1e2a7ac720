"""Which trainings a confirmation needs next: the same number for all, then more where it is open.

First each shortlisted trial is trained `seeds` times, the first time all of them, then the second:
whenever time runs out, all have about as many. Then, on the dev rows, each is held against the one
that is best there, and that one against single-task training: where the interval over seeds and
rows covers zero, both are trained once more, up to `max_seeds` times. Test takes no part in it, so
it decides nothing about how often it is asked.

All this follows from the record, so a confirmation that was cut off goes on where it was. A run
that failed counts as done: its configuration has shown what it does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mtl_core.seeding import derive_seed
from search.config import ConfirmConfig
from search.confirm_record import RunRecord
from search.record import StudyRecord
from search.report.intervals import Runs, difference
from search.rows import unpack


@dataclass(frozen=True)
class Wanted:
    """A training to be done: run `number` of a trial, with the id and seed it has at every start.

    Args:
        attempt: How often it was begun before.
    """

    id: str
    trial: str
    number: int
    seed: int
    attempt: int = 0


class Racing:
    """Says which runs are wanted, given all that the record holds.

    Args:
        seed: The study's; each run's own follows from it, the trial and the number.
    """

    def __init__(self, record: StudyRecord, config: ConfirmConfig, seed: int) -> None:
        self._record, self._config, self._seed = record, config, seed

    def wanted(self) -> list[Wanted]:
        """Return the runs to be done now, in order; those that a dead driver began among them.

        Empty: the confirmation is done. Runs beyond the first `seeds` are named only when those
        have all ended.
        """
        known = self._record.confirmation
        numbers = range(1, self._config.seeds + 1)
        first = [self._run(trial, number) for number in numbers for trial in known.shortlist]
        left = [run for run in first if run is not None]
        if left or not known.shortlist:
            return left
        further = [self._run(trial, len(known.of(trial)) + 1) for trial in self.still_open()]
        begun = [self._again(run) for run in known.runs.values() if self._is_cut_off(run)]
        return begun or [run for run in further if run is not None]

    def least(self) -> int:
        """Return how many runs there are at least, those done included.

        These are the first `seeds` of each trial, those begun beyond them, and where all have
        ended, the one that is next: after each the race may be over.
        """
        known, first = self._record.confirmation, range(1, self._config.seeds + 1)
        runs = {(trial, number) for trial in known.shortlist for number in first}
        runs |= {(run.trial, run.number) for trial in known.shortlist for run in known.of(trial)}
        return len(runs | {(run.trial, run.number) for run in self.wanted()[:1]})

    def still_open(self) -> list[str]:
        """Return the trials that may have another training and whose comparison needs it."""
        known = self._record.confirmation
        dev = {trial: runs for trial in known.shortlist if (runs := self._dev(trial)) is not None}
        if not dev:
            return []
        best = max(dev, key=lambda trial: self._mean(trial))
        rivals = [trial for trial in dev if trial != best and self._is_open(dev[best], dev[trial])]
        chosen = [best, *rivals] if rivals else []
        return [trial for trial in chosen if len(known.of(trial)) < self._config.max_seeds]

    def _run(self, trial: str, number: int) -> Wanted | None:
        """Return that run of a trial; None where it has ended."""
        mine = next((r for r in self._record.confirmation.of(trial) if r.number == number), None)
        if mine is not None:
            return None if mine.ended else self._again(mine)
        place = self._record.trials[trial].number
        seed = derive_seed(self._seed, "confirm", place, number)
        return Wanted(f"{trial}c{number}", trial, number, seed)

    def _again(self, run: RunRecord) -> Wanted:
        return Wanted(run.id, run.trial, run.number, run.seed, run.attempt)

    def _is_cut_off(self, run: RunRecord) -> bool:
        return not run.ended and run.trial in self._record.confirmation.shortlist

    def _confirmed(self, trial: str) -> Sequence[RunRecord]:
        return [r for r in self._record.confirmation.of(trial) if r.state == "confirmed"]

    def _mean(self, trial: str) -> float:
        runs = self._confirmed(trial)
        return sum(run.dev_average for run in runs) / len(runs)

    def _dev(self, trial: str) -> Runs | None:
        events = [run.found or {} for run in self._confirmed(trial)]
        if not events:
            return None
        return Runs(tuple(unpack(e["dev_correct"], e.get("metrics")) for e in events))

    def _is_open(self, best: Runs, other: Runs) -> bool:
        found = difference(best, other, self._record.tasks)
        return found is not None and found.sign == 0
