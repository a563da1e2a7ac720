"""Ray Tune's part of a study: it runs the trials that are left, around objects that are ours.

Tune starts clients, keeps them from trial to trial, retries a trial whose client or engine was
lost, and passes results on. What is proposed, stopped early and remembered is ours: `searcher.py`,
`scheduler.py` and `callback.py`, which are made anew from the record at each call. Importing this
file imports Tune.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune

from mtl_core.errors import ConfigError
from search.callback import JournalCallback
from search.config import SearchConfig
from search.engine_pool import EnginePool
from search.failure import Loss, loss_of
from search.progress import Progress
from search.proposer import Proposer
from search.record import StudyRecord
from search.scheduler import JournalScheduler
from search.searcher import JournalSearcher
from search.stop import StopSwitch
from search.trial import MEMORY_BYTES, SearchTrial


@dataclass(frozen=True, kw_only=True)
class TuneCalls:
    """A call of Tune, and those that follow where it breaks off.

    Args:
        search: What the space says of the search.
        record: The study's record, open for writing.
        folder: The study's folder.
        engines: Where trials train.
        proposer: Gives new configurations, from the same record.
        trainable: What trains, in place of `SearchTrial`.
        all_begun: Called when there is no further trial.
        measured: Called with what a calibration of the engines found.
    """

    search: SearchConfig
    record: StudyRecord
    folder: Path
    engines: EnginePool
    proposer: Proposer
    stop: StopSwitch
    progress: Progress
    trainable: type | None
    all_begun: Callable[[], None] | None
    measured: Callable[[dict[str, Any]], None]

    def run(self, scratch: Path) -> None:
        """Have Tune run what is left, again where it breaks off or leaves a trial unfinished.

        Tune takes an actor that Ray's memory monitor has killed for a fault of its own, and some
        trials whose client was lost for failed ones (Ray 2.60; `JournalCallback.on_trial_error`).

        Args:
            scratch: Folder for Tune's own files.
        """
        for again in range(self.search.retries + 1):
            try:
                self._run_once(scratch)
            except RuntimeError as error:
                loss = loss_of(error)
                if loss.kind != "memory" or again == self.search.retries:
                    raise
                self._go_on_after(loss)
            else:
                if self.stop.reason is not None or not self.record.unfinished():
                    return

    def _go_on_after(self, loss: Loss) -> None:
        """Free the lanes of all trials that were in training; they go on where they were saved."""
        for trial in self.record.unfinished():
            self.engines.release(trial.id, keep=True)
            if trial.state == "running":
                lost = {"kind": loss.kind, "reason": loss.reason, "attempt": trial.attempt + 1}
                self.record.append("retried", trial=trial.id, **lost)

    def _run_once(self, scratch: Path) -> None:
        tune.Stopper.register(StopSwitch)  # which is there before Tune is imported
        callback = JournalCallback(
            self.record,
            self.folder,
            progress=self.progress,
            stop=self.stop,
            engines=self.engines,
            measured=self.measured,
            failures=self.search.failures,
            retries=self.search.retries,
        )
        searcher = JournalSearcher(
            self.proposer,
            lanes=self.engines,
            all_begun=self.all_begun,
            hang_seconds=60 * self.search.hang_minutes,
        )
        try:
            tune.run(
                self.trainable or SearchTrial,
                num_samples=-1,
                search_alg=searcher,
                scheduler=JournalScheduler(self.record, self.search.stopping),
                stop=self.stop,
                callbacks=[callback],
                # One object for all trials: of a dict Tune makes one for each, 2 KB that stay.
                resources_per_trial=tune.PlacementGroupFactory([{"memory": MEMORY_BYTES}]),
                max_failures=self.search.retries,  # a trial's own fault is no failure here
                reuse_actors=True,
                raise_on_failed_trial=False,
                name="trials",
                storage_path=str(scratch),
                trial_dirname_creator=_name,
                verbose=0,
            )
        except tune.TuneError:
            if self.record.failure is not None:
                raise ConfigError(self.record.failure.faults) from None
            raise


def _name(trial: Any) -> str:
    return str(trial.config["trial"])
