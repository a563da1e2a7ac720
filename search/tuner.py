"""Runs the trials of a study: engines are started, Ray Tune has them train, the best are confirmed.

Engines are started first, and import torch while Tune is imported here (`tune_calls.py`). Tune's
own files go to a folder that is deleted at the end. When the trials have ended, the shortlist is
confirmed in the same engines (`confirm.py`).
"""

import shutil
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mtl_core.seeding import stream
from search.ahead import Ahead
from search.cluster import Cluster, joined
from search.lanes import in_words, most_lanes
from search.progress import Progress
from search.proposer import Proposer, startup_trials
from search.record import StudyRecord
from search.rooms import engines_on_cluster, local_engines
from search.shortlist import is_left, is_scored, make_shortlist
from search.space import Space
from search.stop import StopSwitch
from search.time_shares import confirm_seconds_left, search_seconds_left
from search.workplace import EngineFiles, workplace_of

if TYPE_CHECKING:  # Ray is imported when a search begins
    from search.engine_pool import EnginePool

SCRATCH = ".tune"
CALIBRATED = 16  # different configurations in a calibration
# Why a search ended: as many trials as asked for, the time used up, the space exhausted, by hand,
# or too many failures.
Reason = Literal["trials", "minutes", "exhausted", "interrupted", "failures"]


def run_trials(
    space: Space,
    files: EngineFiles,
    record: StudyRecord,
    folder: Path,
    *,
    address: str | None = None,
    insecure: bool = False,
    progress: Progress | None = None,
    trainable: type | None = None,
    ahead: Ahead | None = None,
) -> Reason:
    """Run what the journal has left unfinished, then new trials, then confirm the best of them.

    Returns why the search ended.

    Args:
        record: The study's record, open for writing; "ended" is written at the end.
        folder: The study's folder, on a disk that all machines of the cluster share.
        address: Ray cluster to join; None starts Ray on this machine.
        insecure: Join a cluster that asks for no token.
        trainable: What trains, in place of `SearchTrial`.
        ahead: Begins when there are no more trials to begin, and lanes fall empty.

    Raises:
        ConfigError: No such cluster, no room for a trial on it, or the journal cannot be written.
    """
    searched = _nothing_left(space, record)
    ending = _Ending(searched, record.confirmation.ended) if searched else None
    if ending is None or is_left(space, record):
        run = _Run(
            space=space,
            record=record,
            folder=folder,
            files=files,
            progress=progress or Progress(),
            stop=StopSwitch(None if searched else search_seconds_left(space.search, record)),
            trainable=trainable,
            ahead=ahead,
            searched=searched,
        )
        ending = run.on_ray(address, insecure=insecure)
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
    """The trials of a study and the confirmation after them, with all that belongs to them.

    Args:
        searched: Why there is no trial left to run, if there is none.
    """

    space: Space
    record: StudyRecord
    folder: Path
    files: EngineFiles
    progress: Progress
    stop: StopSwitch
    trainable: type | None
    ahead: Ahead | None
    searched: Reason | None

    def on_ray(self, address: str | None, *, insecure: bool) -> _Ending:
        """Run it on a cluster that is joined, or started here, for as long as it takes."""
        shown = self.progress
        with self.stop.on_signals(first=shown.stopping, second=shown.close), closing(shown):
            shown.say("starting Ray" if address is None else f"joining Ray at {address}")
            with joined(address, self.space.search, insecure=insecure) as cluster:
                return self._on(cluster)

    def _on(self, cluster: Cluster) -> _Ending:
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
                self._tune(proposer, engines, scratch)
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
        if self.ahead is not None:
            self.ahead.begin()
            self.ahead.wait_for_imports()  # a confirmation imports in this thread
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
        place = workplace_of(
            self.space, self.record, folder=self.folder, files=self.files, cluster=cluster
        )
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

    def _tune(self, proposer: Proposer, engines: "EnginePool", scratch: Path) -> None:
        from search.tune_calls import TuneCalls

        TuneCalls(
            search=self.space.search,
            record=self.record,
            folder=self.folder,
            engines=engines,
            proposer=proposer,
            stop=self.stop,
            progress=self.progress,
            trainable=self.trainable,
            all_begun=None if self.ahead is None else self.ahead.begin,
            measured=partial(self._measured, engines, proposer),
        ).run(scratch)


def calibration_configs(space: Space, count: int) -> list[dict[str, Any]]:
    """Return configurations such as the first of a study: its points, then some at random."""
    rng = stream(space.search.seed, "calibration")
    drawn = (space.sample(rng) for _ in range(count))
    values = islice(chain(space.points, drawn), min(count, CALIBRATED))
    found = [space.configure(dict(chosen)).as_dict() for chosen in values]
    for config in found:  # how fast they are has nothing to do with what they start from
        config["encoder"]["mlm_warm_up"] = False
    return found
