"""Runs the trials of a study: Ray Tune around our searcher, scheduler, callback and stop switch.

When they have ended, the shortlist is confirmed in the same engines (`confirm.py`).

Engines are started first, and import torch while Tune is imported here. Tune starts clients, keeps
them from trial to trial, retries a trial whose client or engine was lost, and passes results on;
engines train (`engine_pool.py`). What is proposed, stopped early and remembered is ours, and
rebuilt from the record at every start. Tune's own files go to a folder that is deleted at the end.
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
from search.bucket import bucket_of
from search.cluster import Cluster, joined
from search.failure import Loss, loss_of
from search.lanes import in_words, most_lanes
from search.progress import Progress
from search.proposer import Proposer, startup_trials
from search.record import StudyRecord
from search.rooms import engines_on_cluster, local_engines
from search.shortlist import is_left, is_scored, make_shortlist
from search.space import Space
from search.stop import StopSwitch
from search.time_shares import confirm_seconds_left, search_seconds_left

if TYPE_CHECKING:  # Ray is imported when a search begins
    from search.engine_pool import EnginePool
    from search.engines import Workplace

SCRATCH = ".tune"
MEMORY_SHARE = 0.8  # of what is left to an engine
CALIBRATED = 16  # different configurations in a calibration
Reason = Literal["trials", "minutes", "exhausted", "interrupted", "failures"]


def run_trials(
    space: Space,
    encoded_path: Path,
    record: StudyRecord,
    folder: Path,
    *,
    vectors: Path | None = None,
    texts: Path | None = None,
    address: str | None = None,
    insecure: bool = False,
    progress: Progress | None = None,
    trainable: type | None = None,
    all_begun: Callable[[], None] | None = None,
    before_confirming: Callable[[], None] | None = None,
) -> Reason:
    """Run what the journal has left unfinished, then new trials, then confirm the best of them.

    Args:
        encoded_path: The encoded corpus.
        record: The study's record, open for writing; "ended" is written at the end.
        folder: The study's folder, on a disk that all machines of the cluster share.
        vectors: File of the word vectors to start from.
        texts: File of the texts that encoders are warmed up on.
        address: Ray cluster to join; None starts Ray on this machine.
        insecure: Join a cluster that asks for no token.
        trainable: What trains, in place of `SearchTrial`.
        all_begun: Called when there are no more trials to begin, and lanes fall empty.
        before_confirming: Called before the confirmation begins, which imports in this thread.

    Returns:
        Why the search ended: as many "trials" as asked for, "minutes" used up, the space
        "exhausted", too many "failures", or "interrupted" by hand.

    Raises:
        ConfigError: No such cluster, no room for a trial on it, or the journal cannot be written.
    """
    shown = progress or Progress()
    searched = _nothing_left(space, record)
    ending = _Ending(searched, record.confirmation.ended) if searched else None
    if ending is None or is_left(space, record):
        stop = StopSwitch(search_seconds_left(space.search, record) if searched is None else None)
        with stop.on_signals(first=shown.stopping, second=shown.close), closing(shown):
            shown.say("starting Ray" if address is None else f"joining Ray at {address}")
            with joined(address, space.search, insecure=insecure) as cluster:
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
                    before_confirming=before_confirming,
                    searched=searched,
                )
                ending = run.on(cluster)
    record.append("ended", **asdict(ending))
    return ending.reason


@dataclass(frozen=True)
class _Ending:
    """Why the search ended, and how its confirmation did."""

    reason: Reason
    confirmation: str | None = None


def _nothing_left(space: Space, record: StudyRecord) -> Reason | None:
    """Return why no trial is to be run at all, as when a study that is done is run again."""
    seconds = search_seconds_left(space.search, record)
    if seconds is not None and seconds <= 0:
        return "minutes"
    if record.unfinished():
        return None
    proposer = Proposer(space, record, workers=local_engines(space.search))
    return proposer.reason if proposer.propose() is None else None


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One call of Tune and the confirmation after it, with all that belongs to them.

    Args:
        searched: Why there is no trial left to run, if there is none.
    """

    space: Space
    encoded: Path
    record: StudyRecord
    folder: Path
    vectors: Path | None
    texts: Path | None
    progress: Progress
    stop: StopSwitch
    trainable: type | None
    all_begun: Callable[[], None] | None
    before_confirming: Callable[[], None] | None
    searched: Reason | None

    def on(self, cluster: Cluster) -> _Ending:
        from search.shared_disks import check_shared

        if self.stop.reason is not None:  # Ctrl-C while Ray was starting
            return _Ending(self.stop.reason)
        check_shared(self.folder)
        engines = self._start_engines(cluster)
        scratch = self.folder.resolve() / SCRATCH
        shutil.rmtree(scratch, ignore_errors=True)  # of a driver that was killed
        try:
            proposer = self._get_ready(cluster, engines)
            reason = self.searched
            if reason is None:
                self._tune(proposer, engines, str(scratch))
                reason = self.stop.reason or proposer.reason
            assert reason is not None, "Tune ended although trials were left"
            return self._confirm(reason, engines, proposer)
        finally:
            engines.close()
            shutil.rmtree(scratch, ignore_errors=True)

    def _confirm(self, reason: Reason, engines: "EnginePool", proposer: Proposer) -> _Ending:
        """Confirm the best of the trials, if that is asked for and any has a score."""
        asked = self.space.search.confirm.seeds and is_scored(self.record)
        if reason in ("interrupted", "failures") or not asked:
            return _Ending(reason)
        from search.confirm import Confirmation

        self.record.append("searched", reason=reason)
        for trial in self.record.unfinished():  # cut off by the time; their lanes are free now
            engines.release(trial.id, keep=True)
        for call in (self.all_begun, self.before_confirming):
            if call is not None:
                call()
        make_shortlist(self.record)
        self.stop.go_on(confirm_seconds_left(self.space.search, self.record))
        ended = Confirmation(
            self.space,
            self.record,
            self.folder,
            engines,
            stop=self.stop,
            progress=self.progress,
            measured=partial(self._measured, engines, proposer),
        ).run()
        return _Ending("interrupted" if ended == "interrupted" else reason, ended)

    def _start_engines(self, cluster: Cluster) -> "EnginePool":
        from search.engine_pool import EnginePool

        search = self.space.search
        each = search.lanes or min(self.record.lanes or 1, most_lanes(search, cluster.engines))
        room = partial(engines_on_cluster, search) if cluster.elastic else None
        place = self._workplace(cluster)
        return EnginePool(search, place, cluster.engines, each=each, room=room, tell=self._note)

    def _note(self, text: str) -> None:
        self.record.append("noted", text=text)
        self.progress.say(text)

    def _get_ready(self, cluster: Cluster, engines: "EnginePool") -> Proposer:
        """Show that it begins; have the lanes measured, unless their number is known."""
        search = self.space.search
        self.progress.started(cluster, self.space, self.record)
        if cluster.dashboard:
            self.record.append("noted", text=f"Ray dashboard: http://{cluster.dashboard}")
        most = most_lanes(search, cluster.engines)
        if search.lanes or self.record.lanes or most == 1 or self.searched:
            self.progress.say(in_words(engines))
        else:
            engines.measure(calibration_configs(self.space, most), search.seed, most)
        return Proposer(self.space, self.record, workers=engines.total)

    def _measured(self, engines: "EnginePool", proposer: Proposer, found: dict[str, Any]) -> None:
        if "failure" in found:
            self._note(found["failure"])
            return
        self.record.append("calibrated", **found)
        self.progress.say(in_words(engines))
        proposer.startup_trials = startup_trials(self.space.search, engines.total)

    def _tune(self, proposer: Proposer, engines: "EnginePool", scratch: str) -> None:
        """Have Tune run what is left, again where it breaks off or leaves a trial unfinished.

        Tune takes an actor that Ray's memory monitor has killed for a fault of its own, and some
        trials whose client was lost for failed ones (Ray 2.60; `JournalCallback.on_trial_error`).
        """
        for again in range(self.space.search.retries + 1):
            try:
                self._tune_once(proposer, engines, scratch)
            except RuntimeError as error:
                loss = loss_of(error)
                if loss.kind != "memory" or again == self.space.search.retries:
                    raise
                self._go_on_after(loss, engines)
            else:
                if self.stop.reason is not None or not self.record.unfinished():
                    return

    def _go_on_after(self, loss: Loss, engines: "EnginePool") -> None:
        """Free the lanes of all trials that were in training; they go on where they were saved."""
        for trial in self.record.unfinished():
            engines.release(trial.id, keep=True)
            if trial.state == "running":
                lost = {"kind": loss.kind, "reason": loss.reason, "attempt": trial.attempt + 1}
                self.record.append("retried", trial=trial.id, **lost)

    def _tune_once(self, proposer: Proposer, engines: "EnginePool", scratch: str) -> None:
        from ray import tune

        from search.callback import JournalCallback
        from search.scheduler import JournalScheduler
        from search.searcher import JournalSearcher
        from search.trial import MEMORY_BYTES, SearchTrial

        tune.Stopper.register(StopSwitch)  # which is there before Tune is imported
        search = self.space.search
        callback = JournalCallback(
            self.record,
            self.folder,
            progress=self.progress,
            stop=self.stop,
            engines=engines,
            measured=partial(self._measured, engines, proposer),
            failures=search.failures,
            retries=search.retries,
        )
        searcher = JournalSearcher(
            proposer,
            lanes=engines,
            all_begun=self.all_begun,
            hang_seconds=60 * search.hang_minutes,
        )
        try:
            tune.run(
                self.trainable or SearchTrial,
                num_samples=-1,
                search_alg=searcher,
                scheduler=JournalScheduler(self.record, search.stopping),
                stop=self.stop,
                callbacks=[callback],
                # One object for all trials: of a dict Tune makes one for each, 2 KB that stay.
                resources_per_trial=tune.PlacementGroupFactory([{"memory": MEMORY_BYTES}]),
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
        from search.shared_disks import offered

        search, bucket = self.space.search, bucket_of(self.folder)
        paths = {
            name: None if path is None else str(path.resolve())
            for name, path in (("vectors", self.vectors), ("texts", self.texts))
        }
        encoded = str(self.encoded.resolve())
        on_gpu = search.gpus_per_trial > 0
        share = min(1.0, search.gpus_per_trial) if on_gpu else cluster.memory_share
        return Workplace(
            encoded=encoded,
            folder=str(self.folder.resolve()),
            tasks=self.record.tasks,
            **paths,
            mlm=asdict(self.space.settings.mlm),
            threads=max(1, int(search.cpus_per_trial)),
            gpu=on_gpu,
            memory_share=MEMORY_SHARE * share,
            contents=offered([encoded, *paths.values()]) if cluster.elastic else {},
            bucket=None if bucket is None else bucket.address,
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
