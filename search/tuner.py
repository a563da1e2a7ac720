"""Runs the trials of a study: Ray Tune around our searcher, scheduler, callback and stop switch.

Tune starts clients, keeps them from trial to trial, retries a trial whose client or engine was
lost, and passes results on; engines train (`engine_pool.py`). What is proposed, stopped early and
remembered is ours, and rebuilt from the record at every start. Tune's own files go to a folder that
is deleted at the end.
"""

import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mtl_core.errors import ConfigError
from mtl_core.seeding import stream
from search.cluster import Cluster, joined, local_engines
from search.lanes import in_words, most_lanes
from search.progress import Progress
from search.proposer import Proposer, startup_trials
from search.record import StudyRecord
from search.space import Space

if TYPE_CHECKING:  # Ray is imported when a search begins
    from search.engine_pool import EnginePool
    from search.engines import Workplace
    from search.stop import StopSwitch

SCRATCH = ".tune"
MEMORY_SHARE = 0.8  # of what is left to an engine
CALIBRATED = 16  # different configurations in a calibration
Reason = Literal["trials", "minutes", "exhausted", "interrupted"]


def run_trials(
    space: Space,
    encoded_path: Path,
    record: StudyRecord,
    folder: Path,
    *,
    vectors: Path | None = None,
    texts: Path | None = None,
    address: str | None = None,
    progress: Progress | None = None,
    trainable: type | None = None,
    all_begun: Callable[[], None] | None = None,
) -> Reason:
    """Run what the journal has left unfinished, then new trials, until the search ends.

    Args:
        encoded_path: The encoded corpus, on a disk that all engines see, like `folder`.
        record: The study's record, open for writing; "ended" is written at the end.
        folder: The study's folder.
        vectors: File of the word vectors to start from, on such a disk too.
        texts: File of the texts that encoders are warmed up on, likewise.
        address: Ray cluster to join; None starts Ray on this machine.
        trainable: What trains, in place of `SearchTrial`.
        all_begun: Called when there are no more trials to begin, and lanes fall empty.

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
                run = _Run(
                    space=space,
                    encoded=Path(encoded_path),
                    record=record,
                    folder=Path(folder),
                    vectors=vectors,
                    texts=texts,
                    progress=shown,
                    stop=stop,
                    trainable=trainable,
                    all_begun=all_begun,
                )
                reason = run.on(cluster)
    record.append("ended", reason=reason)
    return reason


def _nothing_left(space: Space, record: StudyRecord) -> Reason | None:
    """Return why no trial is to be run at all, as when a study that is done is run again."""
    minutes = space.search.minutes
    if minutes is not None and record.seconds_used >= minutes * 60:
        return "minutes"
    if record.unfinished():
        return None
    proposer = Proposer(space, record, workers=local_engines(space.search))
    return proposer.reason if proposer.propose() is None else None


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One call of Tune, with all that belongs to it."""

    space: Space
    encoded: Path
    record: StudyRecord
    folder: Path
    vectors: Path | None
    texts: Path | None
    progress: Progress
    stop: "StopSwitch"
    trainable: type | None
    all_begun: Callable[[], None] | None

    def on(self, cluster: Cluster) -> Reason:
        if self.stop.reason is not None:  # Ctrl-C while Ray was starting
            return self.stop.reason
        engines = self._start_engines(cluster)
        scratch = self.folder.resolve() / SCRATCH
        shutil.rmtree(scratch, ignore_errors=True)  # of a driver that was killed
        try:
            proposer = self._get_ready(cluster, engines)
            self._tune(proposer, engines, str(scratch))
        finally:
            engines.close()
            shutil.rmtree(scratch, ignore_errors=True)
        reason: Reason | None = self.stop.reason or proposer.reason
        assert reason is not None, "Tune ended although trials were left"
        return reason

    def _start_engines(self, cluster: Cluster) -> "EnginePool":
        from search.engine_pool import EnginePool

        search = self.space.search
        each = search.lanes or min(self.record.lanes or 1, most_lanes(search, cluster.engines))
        return EnginePool(search, self._workplace(cluster), cluster.engines, each=each)

    def _get_ready(self, cluster: Cluster, engines: "EnginePool") -> Proposer:
        """Show that it begins; have the lanes measured, unless their number is known."""
        search = self.space.search
        self.progress.started(cluster, self.space, self.record)
        most = most_lanes(search, cluster.engines)
        if search.lanes or self.record.lanes or most == 1:
            self.progress.say(in_words(engines))
        else:
            engines.measure(calibration_configs(self.space, most), search.seed, most)
        return Proposer(self.space, self.record, workers=engines.total)

    def _measured(self, engines: "EnginePool", proposer: Proposer, found: dict[str, Any]) -> None:
        if "failure" in found:
            self.record.append("noted", text=found["failure"])
            self.progress.say(found["failure"])
            return
        self.record.append("calibrated", **found)
        self.progress.say(in_words(engines))
        proposer.startup_trials = startup_trials(self.space.search, engines.total)

    def _tune(self, proposer: Proposer, engines: "EnginePool", scratch: str) -> None:
        from ray import tune

        from search.callback import JournalCallback
        from search.scheduler import JournalScheduler
        from search.searcher import JournalSearcher
        from search.trial import MEMORY_BYTES, SearchTrial

        search = self.space.search
        callback = JournalCallback(
            self.record,
            self.folder,
            progress=self.progress,
            stop=self.stop,
            engines=engines,
            measured=partial(self._measured, engines, proposer),
        )
        try:
            tune.run(
                self.trainable or SearchTrial,
                num_samples=-1,
                search_alg=JournalSearcher(proposer, lanes=engines, all_begun=self.all_begun),
                scheduler=JournalScheduler(self.record, search.stopping),
                stop=self.stop,
                callbacks=[callback],
                resources_per_trial={"cpu": 0, "memory": MEMORY_BYTES},
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

    def _workplace(self, cluster: Cluster) -> "Workplace":
        from search.engines import Workplace

        search = self.space.search
        on_gpu = search.gpus_per_trial > 0
        share = min(1.0, search.gpus_per_trial) if on_gpu else cluster.memory_share
        return Workplace(
            encoded=str(self.encoded.resolve()),
            folder=str(self.folder.resolve()),
            tasks=self.record.tasks,
            vectors=None if self.vectors is None else str(self.vectors.resolve()),
            texts=None if self.texts is None else str(self.texts.resolve()),
            mlm=asdict(self.space.settings.mlm),
            threads=max(1, int(search.cpus_per_trial)),
            gpu=on_gpu,
            memory_share=MEMORY_SHARE * share,
        )


def calibration_configs(space: Space, count: int) -> list[dict[str, Any]]:
    """Return configurations such as the first of a study: its points, then some at random."""
    rng = stream(space.search.seed, "calibration")
    drawn = (space.sample(rng) for _ in range(count))
    values = islice(chain(space.points, drawn), min(count, CALIBRATED))
    found = [space.configure(dict(chosen)).as_dict() for chosen in values]
    for config in found:  # how fast they are has nothing to do with what they start from
        config["encoder"]["mlm_warm_up"] = False
    return found


def _name(trial: Any) -> str:
    return str(trial.config["trial"])
