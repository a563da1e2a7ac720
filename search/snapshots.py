"""The weights worth keeping during a search: `<study>/models/<trial>-e<epoch>.safetensors`.

An engine writes the weights of an epoch that beats, under some objective, what led when its trial
was proposed and the trial's own epochs so far; its own files that no longer lead it deletes. The
driver deletes the files of an ended trial unless it leads among the ended ones. So nobody deletes
what another is writing, and whoever leads, by whatever way the running trials end, has its file.
Objectives are named as in `record.py`: "average", "task:<name>", "structure:<name>", and the
study's own.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtl_core.files import replacing
from mtl_core.foreign import path_of
from search.bucket import files_in, hand_on, remove
from search.bucket_files import MODELS
from search.confirm_record import RunRecord
from search.objectives import AVERAGE, MEAN, TASK, WORST_TASK, Spec, objective_of
from search.record import StudyRecord

if TYPE_CHECKING:  # torch comes with it
    from mtl_core.model.encoder import MultiTaskEncoder

_NAME = re.compile(r"(?P<trial>.+)-e(?P<epoch>\d+)\.safetensors")


def snapshot_path(study: Path, trial: str, epoch: int) -> Path:
    """Return where the weights of that epoch are, if they were worth keeping."""
    return path_of(study / MODELS, f"{trial}-e{epoch}", ".safetensors")


class SnapshotKeeper:
    """Decides which epochs of one trial are kept.

    Args:
        study: The study's folder.
        leaders: Score to beat by objective; an objective that is missing has no leader yet.
        maximised: The study's own objective, as `search.objective` says it.
    """

    def __init__(
        self,
        study: Path,
        trial: str,
        *,
        structure: str,
        leaders: Mapping[str, float],
        maximised: Spec = MEAN,
    ) -> None:
        self._study, self._trial, self._structure = study, trial, structure
        self._maximised = maximised
        self._best = dict(leaders)
        self._epochs: dict[str, int] = {}  # objective -> the epoch of this trial that leads it

    def offer(
        self,
        epoch: int,
        average: float,
        scores: Mapping[str, float],
        save: Callable[[Path], None],
    ) -> tuple[str, ...]:
        """Have `save` write the weights if they lead under some objective; return which ones."""
        objectives = {f"task:{task}": score for task, score in scores.items()}
        own = objective_of(self._maximised, tuple(scores))
        value = own.of_epoch(average, scores)
        objectives |= {AVERAGE: average, own.name: value, f"structure:{self._structure}": value}
        beaten = {
            name: score
            for name, score in objectives.items()
            if score > self._best.get(name, float("-inf"))  # False for a score that is NaN
        }
        if not beaten:
            return ()
        path = snapshot_path(self._study, self._trial, epoch)
        save(path)
        hand_on(self._study, path)
        held = set(self._epochs.values())
        self._best |= beaten
        self._epochs |= dict.fromkeys(beaten, epoch)
        for superseded in held - set(self._epochs.values()):
            remove(self._study, snapshot_path(self._study, self._trial, superseded))
        return tuple(beaten)

    def state(self) -> dict[str, Any]:
        """Return what another keeper of the trial must know to go on, as JSON values."""
        return {"best": self._best, "epochs": self._epochs}

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Take over from the keeper of an engine that was lost; what leads by now still leads."""
        for name, score in state["best"].items():
            self._best[name] = max(score, self._best.get(name, score))
        self._epochs = dict(state["epochs"])


def save_weights(model: "MultiTaskEncoder", path: Path) -> None:
    """Write the weights; on a full disk none, since the end of the study can make them again.

    The score stands: a trial does not fail for what a disk cannot take.
    """
    from safetensors import SafetensorError

    from mtl_core.tensor_file import write_tensors

    with suppress(OSError, SafetensorError), replacing(path) as beside:
        write_tensors(beside, dict(model.named_parameters()))


def prune(study: Path, record: StudyRecord) -> list[Path]:
    """Delete the files of ended trials that lead nothing among the ended; return what is gone."""
    leading = _leading_epochs(record)
    gone = []
    for path in files_in(study, MODELS):
        match = _NAME.fullmatch(path.name)
        trial = record.trials.get(match["trial"]) if match else None
        if match and trial and trial.ended and (trial.id, int(match["epoch"])) not in leading:
            remove(study, path)
            gone.append(path)
    return gone


def prune_runs(study: Path, record: StudyRecord) -> list[Path]:
    """Delete the files of ended confirmation runs that will not be exported; return what is gone.

    Of each trial that is confirmed stays its run that is best on dev by the study's objective, and
    the best for each task, and for the worst one, that the trial was shortlisted for.
    """
    known = record.confirmation
    gone = []
    for path in files_in(study, MODELS):
        match = _NAME.fullmatch(path.name)
        run = known.runs.get(match["trial"]) if match else None
        if match and run and run.ended and int(match["epoch"]) != _kept_epoch(record, run):
            remove(study, path)
            gone.append(path)
    return gone


def _kept_epoch(record: StudyRecord, run: RunRecord) -> int:
    """Return the epoch of a run whose weights are worth keeping, or 0."""
    return run.epoch if any(best is run for best in best_runs(record, run.trial).values()) else 0


def best_runs(record: StudyRecord, trial: str) -> dict[str, RunRecord]:
    """Return which run of a trial is best on dev: by the objective, and for what else it is for."""
    runs = [run for run in record.confirmation.of(trial) if run.state == "confirmed"]
    if not runs:
        return {}
    found = {AVERAGE: max(runs, key=lambda run: record.objective.of_scores(run.dev))}
    for role in record.confirmation.shortlist.get(trial, ()):
        if role.startswith(TASK) or role == WORST_TASK:
            of = objective_of(role, record.tasks).of_scores
            found[role] = max(runs, key=lambda run: of(run.dev))
    return found


def _leading_epochs(record: StudyRecord) -> set[tuple[str, int]]:
    """Return (trial, epoch) of the leaders of all trials, and of the ended ones alone.

    A trial that runs again after a lost worker takes its reports back, so a leader among the
    running ones may fall behind the best of the ended ones.
    """
    leaders = [*record.leaders().values(), *record.leaders_of_ended().values()]
    return {(leader.trial, leader.epoch) for leader in leaders}
