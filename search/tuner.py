"""Runs the trials of a study: Ray Tune around our searcher, scheduler, callback and stop switch.

Tune starts workers, keeps them warm from trial to trial, retries a trial whose worker was lost, and
passes results on. What is proposed, stopped early and remembered is ours, and rebuilt from the
record at every start. Tune's own files go to a folder that is deleted at the end.
"""

import shutil
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mtl_core.errors import ConfigError
from search.cluster import Cluster, joined, local_workers
from search.progress import Progress
from search.proposer import Proposer
from search.record import StudyRecord
from search.space import Space

if TYPE_CHECKING:  # Ray is imported when a search begins
    from search.stop import StopSwitch

SCRATCH = ".tune"
Reason = Literal["trials", "minutes", "exhausted", "interrupted"]


def run_trials(
    space: Space,
    encoded_path: Path,
    record: StudyRecord,
    folder: Path,
    *,
    address: str | None = None,
    progress: Progress | None = None,
    trainable: type | None = None,
) -> Reason:
    """Run what the journal has left unfinished, then new trials, until the search ends.

    Args:
        encoded_path: The encoded corpus, on a disk that all workers see, like `folder`.
        record: The study's record, open for writing; "ended" is written at the end.
        folder: The study's folder.
        address: Ray cluster to join; None starts Ray on this machine.
        trainable: What trains, in place of `SearchTrial`.

    Returns:
        Why the search ended: as many "trials" as asked for, "minutes" used up, the space
        "exhausted", or "interrupted" by hand.

    Raises:
        ConfigError: No such cluster, no room for a trial on it, or the journal cannot be written.
    """
    shown = progress or Progress()
    reason = _nothing_left(space, record)
    if reason is None:
        from search.stop import StopSwitch

        minutes = space.search.minutes
        seconds = None if minutes is None else minutes * 60 - record.seconds_used
        stop = StopSwitch(seconds)
        with stop.on_signals(first=shown.stopping, second=shown.close), closing(shown):
            shown.say("starting Ray" if address is None else f"joining Ray at {address}")
            with joined(address, space.search) as cluster:
                run = _Run(space, Path(encoded_path), record, Path(folder), shown)
                reason = run.on(cluster, stop, trainable)
    record.append("ended", reason=reason)
    return reason


def _nothing_left(space: Space, record: StudyRecord) -> Reason | None:
    """Return why no trial is to be run at all, as when a study that is done is run again."""
    minutes = space.search.minutes
    if minutes is not None and record.seconds_used >= minutes * 60:
        return "minutes"
    if record.unfinished():
        return None
    proposer = Proposer(space, record, workers=local_workers(space.search))
    return proposer.reason if proposer.propose() is None else None


class _Run:
    """One call of Tune, with all that belongs to it."""

    def __init__(
        self, space: Space, encoded: Path, record: StudyRecord, folder: Path, progress: Progress
    ) -> None:
        self.space, self.encoded, self.record = space, encoded, record
        self.folder, self.progress = folder, progress

    def on(self, cluster: Cluster, stop: "StopSwitch", trainable: type | None) -> Reason:
        from search.searcher import JournalSearcher

        if stop.reason is not None:  # Ctrl-C while Ray was starting
            return stop.reason
        self.progress.started(cluster, self.space, self.record)
        proposer = Proposer(self.space, self.record, workers=cluster.workers)
        searcher = JournalSearcher(proposer, workers=cluster.workers)
        scratch = self.folder.resolve() / SCRATCH
        shutil.rmtree(scratch, ignore_errors=True)  # of a driver that was killed
        try:
            self._tune(searcher, stop, trainable, str(scratch))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        reason: Reason | None = stop.reason or proposer.reason
        assert reason is not None, "Tune ended although trials were left"
        return reason

    def _tune(
        self, searcher: Any, stop: "StopSwitch", trainable: type | None, scratch: str
    ) -> None:
        from ray import tune

        from search.callback import JournalCallback
        from search.scheduler import JournalScheduler
        from search.trial import SearchTrial

        search = self.space.search
        try:
            tune.run(
                trainable or SearchTrial,
                config={"workplace": self._workplace()},
                num_samples=-1,
                search_alg=searcher,
                scheduler=JournalScheduler(self.record, search.early_stopping),
                stop=stop,
                callbacks=[
                    JournalCallback(self.record, self.folder, progress=self.progress, stop=stop)
                ],
                resources_per_trial={"cpu": search.cpus_per_trial, "gpu": search.gpus_per_trial},
                max_failures=search.retries,  # what a trial gets wrong itself is no failure here
                reuse_actors=True,
                raise_on_failed_trial=False,
                name="trials",
                storage_path=scratch,
                trial_dirname_creator=_name,
                verbose=0,
            )
        except tune.TuneError:
            if self.record.failure is not None:
                raise ConfigError(self.record.failure.faults) from None
            raise

    def _workplace(self) -> dict[str, Any]:
        from search.trial import Workplace

        search = self.space.search
        return asdict(
            Workplace(
                encoded=str(self.encoded.resolve()),
                folder=str(self.folder.resolve()),
                tasks=self.record.tasks,
                vectors=_absolute(self.space.data.vectors),
                threads=max(1, int(search.cpus_per_trial)),
                gpu=search.gpus_per_trial > 0,
            )
        )


def _absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).resolve())


def _name(trial: Any) -> str:
    return str(trial.config["trial"])
