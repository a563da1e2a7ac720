"""What Ray Tune asks for configurations: first the unfinished trials of the journal, then new ones.

Tune numbers trials in its own way and forgets them with the process; ours are named by the record.
So `JournalSearcher` only translates: it keeps which of Tune's trials is which of ours while they
live, and writes "proposed". How trials went reaches the proposer through the record alone.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ray.tune.search import Searcher

from search.lanes import Lanes
from search.objectives import MEAN
from search.proposer import Proposer
from search.record import StudyRecord
from search.trial_record import TrialRecord


class JournalSearcher(Searcher):
    """The searcher of a study.

    Args:
        proposer: Gives new configurations, from the same record.
        lanes: Where trials train; there are no more of them at a time than places. Without it Tune
            asks for one ahead of those that run, which the sampler then proposes without knowing
            how they went.
        all_begun: Called when there is no further trial.
        hang_seconds: After which a trial whose engine takes no step has failed.

    Attributes:
        trials: Ours by Tune's name, while they live.
    """

    def __init__(
        self,
        proposer: Proposer,
        *,
        lanes: Lanes | None = None,
        all_begun: Callable[[], None] | None = None,
        hang_seconds: float = 3600.0,
    ) -> None:
        super().__init__()
        self.proposer = proposer
        self.record: StudyRecord = proposer.record
        self.trials: dict[str, str] = {}
        self._lanes, self._all_begun, self._hang_seconds = lanes, all_begun, hang_seconds
        self._again: deque[TrialRecord] = deque(self.record.unfinished())

    def suggest(  # type: ignore[override]  # Tune leaves FINISHED out of its own signature
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """Return the configuration of Tune's next trial, None for "not now", or FINISHED.

        Why there is no further trial says `Proposer.reason`.
        """
        if self._lanes is not None and not self._lanes.free():
            return None
        trial = self._again.popleft() if self._again else self._propose()
        if trial is None:
            if self._all_begun is not None:
                self._all_begun()
            return str(Searcher.FINISHED)
        self.trials[trial_id] = trial.id
        return {
            **self._place(trial),
            "trial": trial.id,
            "number": trial.number,
            "config": trial.config,
            "seed": trial.seed,
            "attempt": trial.attempt + 1,
            "hang_seconds": self._hang_seconds,
            "hung": sum(retry.kind == "hang" for retry in trial.retries),
            "maximised": self.record.header.get("objective", MEAN),
            "leaders": {goal: best.score for goal, best in self.record.leaders().items()},
        }

    def _place(self, trial: TrialRecord) -> dict[str, str]:
        """Return where the trial trains, if that is in engines."""
        if self._lanes is None:
            return {}
        place = self._lanes.place(trial.id, trial.config)
        return {**asdict(place), "study": self._lanes.study}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing to do: the trial scheduler has written the report."""

    def on_trial_complete(
        self,
        trial_id: str,
        result: dict[str, Any] | None = None,  # noqa: ARG002
        error: bool = False,  # noqa: ARG002
    ) -> None:
        """Forget Tune's trial and free its lane; the callbacks write how ours ended."""
        trial = self.trials.pop(trial_id, None)
        if self._lanes is not None and trial is not None:
            self._lanes.release(trial, keep=not self.record.trials[trial].ended)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to do: the journal holds all that is needed, and holds it sooner."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to do: a continued search is rebuilt from the journal."""

    def _propose(self) -> TrialRecord | None:
        proposal = self.proposer.propose()
        if proposal is None:
            return None
        self.record.append("proposed", **proposal.as_event())
        return self.record.trials[proposal.trial]
