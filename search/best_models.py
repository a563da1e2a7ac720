"""The best models on disk, ready to load: `<study>/best/average`, `best/worst_task`, `best/<task>`.

Exported is a confirmed run of the winner, that which is best on dev, or a leader of the search as
long as nothing is confirmed. An export that is there already is left as it is; a model whose
weights were lost is trained again, from the same seed, to the same epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from mtl_core.errors import ConfigError
from mtl_core.foreign import path_of, read_object
from mtl_core.training.config import TrialConfig
from mtl_core.training.export import CONFIG, export
from search.confirm_record import RunRecord
from search.objectives import WORST_TASK
from search.record import CUT_OFF
from search.report.confirmation import confirmation
from search.report.tested import AVERAGE, TASK
from search.snapshots import best_runs, snapshot_path
from search.study_files import StudyFiles, kept_weights, trainer_of
from search.tables import RUN_AGAIN
from search.trial_record import Leader, TrialRecord

BEST = "best"


@dataclass(frozen=True)
class Model:
    """An epoch of a training: of a trial, or of a run that confirms it.

    Args:
        name: Of the trial or the run.
        trial: Whose configuration it is.
    """

    name: str
    trial: TrialRecord
    seed: int
    epoch: int

    @classmethod
    def of_leader(cls, study: StudyFiles, leader: Leader) -> "Model":
        trial = study.record.trials[leader.trial]
        return cls(trial.id, trial, trial.seed, leader.epoch)

    @property
    def config(self) -> TrialConfig:
        return TrialConfig.from_dict(self.trial.config)


def export_confirmed(study: StudyFiles) -> None:
    """Export the winners' runs that are best on dev; what has none yet, untested, as it leads."""
    found = confirmation(study.record)
    leaders = study.record.leaders()
    for name in (AVERAGE, WORST_TASK, *(TASK + task for task in study.record.tasks)):
        folder = export_folder(study.folder, name)
        winner = found.winner(name) if found else None
        assert folder is not None
        if winner is not None:
            runs = best_runs(study.record, winner.trial.id)
            _export_run(study, folder, winner.trial, runs.get(name) or runs[AVERAGE])
        elif name in leaders:
            _export_leader(study, folder, leaders[name])


def _export_run(study: StudyFiles, folder: Path, trial: TrialRecord, run: RunRecord) -> None:
    model = Model(run.id, trial, run.seed, run.epoch)
    if holds(folder, model):
        return
    state = weights_of(study, model)
    if state is not None:
        assert run.found is not None
        export_model(study, folder, model, state, dev=run.found["dev"], test=run.found["scores"])


def _export_leader(study: StudyFiles, folder: Path, leader: Leader) -> None:
    """Export a leader of the search as it is: test is for confirmed runs alone.

    A trial that was cut off may have moved on from the epoch that leads; it is not trained again
    for an export that the confirmation will replace.
    """
    model = Model.of_leader(study, leader)
    if holds(folder, model):
        return
    state = kept_weights(study, model.name, model.epoch)
    if state is not None:
        report = next(r for r in model.trial.reports if r.epoch == leader.epoch)
        export_model(study, folder, model, state, dev=report.scores, test=None)


def export_model(
    study: StudyFiles,
    folder: Path,
    model: Model,
    state: Mapping[str, Tensor],
    *,
    dev: Mapping[str, float],
    test: Mapping[str, Any] | None,
) -> None:
    about = {
        "study": study.space.name,
        "trial": model.trial.id,
        "run": None if model.name == model.trial.id else model.name,
        "epoch": model.epoch,
        "seed": model.seed,
        "dev": dict(dev),
        "test": test,
    }
    try:
        export(folder, state, model.config, study.encoded, about=about)
    except (SafetensorError, OSError) as error:
        raise ConfigError(f"{folder}: cannot be written: {error}; {RUN_AGAIN}") from error


def weights_of(study: StudyFiles, model: Model) -> dict[str, Tensor] | None:
    """Return the parameters of that epoch; None where they are lost and nobody wants to wait."""
    kept = kept_weights(study, model.name, model.epoch)
    if kept is not None:
        return kept
    if study.record.ended_reason in CUT_OFF:
        lost = f"{model.name}, epoch {model.epoch}: its weights are lost"
        study.say(f"{lost}; left for the next run")
        return None
    path = snapshot_path(study.folder, model.name, model.epoch)
    study.say(f"{model.name}: no weights at {path}, so it is trained again to epoch {model.epoch}")
    trainer = trainer_of(study, model.config, model.seed)
    next(result for result in trainer.epochs() if result.epoch == model.epoch)
    return {name: value.detach().cpu() for name, value in trainer.model.named_parameters()}


def export_folder(study: Path, objective: str) -> Path | None:
    """Return where the best model of an objective is exported to; structures are not."""
    if objective not in (AVERAGE, WORST_TASK) and not objective.startswith(TASK):
        return None
    return path_of(study / BEST, objective.removeprefix(TASK))


def holds(folder: Path, model: Model) -> bool:
    """Whether an export is that model already."""
    about = read_object(folder / CONFIG).get("about", {})
    run = None if model.name == model.trial.id else model.name
    named = (model.trial.id, run, model.epoch)
    return (about.get("trial"), about.get("run"), about.get("epoch")) == named
