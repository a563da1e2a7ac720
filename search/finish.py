"""The end of a study: run the baselines, export the best, write the views.

Where a confirmation is asked for, test has been scored by its runs (`confirm.py`) and by nothing
else: the winners' best runs on dev are exported, and a leader of the search that is not confirmed
yet stays untested. Without a confirmation the leaders are tested here, each at most once: its rows
go into the journal with the "tested" event before anything is made of them, and a second run takes
them from there. So this can be cut off anywhere and run again, and a study that goes on tests only
what newly leads. A model whose weights were lost is trained again, from the same seed, to the same
epoch.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mtl_core.answers import Answered
from mtl_core.baselines import SCORED, Baseline, baseline_names, baselines
from mtl_core.data.encoded import EncodedCorpus, EncodedSplit
from mtl_core.data.own_texts import texts_path
from mtl_core.data.own_vectors import vectors_path
from mtl_core.data.task import Corpus
from mtl_core.data.vectors import vectors_for
from mtl_core.errors import ConfigError
from mtl_core.training.config import TrialConfig
from mtl_core.training.evaluation import TaskEvaluation
from mtl_core.training.export import CONFIG, export
from mtl_core.training.mlm import WarmUp
from mtl_core.training.models import restore_model
from mtl_core.training.trainer import Trainer
from search.confirm_record import RunRecord
from search.record import StudyRecord
from search.report.confirmation import confirmation
from search.report.tested import AVERAGE, TASK
from search.scored import packed_test, scored, scores_of
from search.snapshots import best_runs, snapshot_path
from search.space import Space
from search.tables import RUN_AGAIN
from search.trial_record import Leader, TrialRecord
from search.views import write_views

BEST = "best"
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class _Study:
    """What testing needs: the question, the record, the data, the folder."""

    space: Space
    record: StudyRecord
    corpus: Corpus
    encoded: EncodedCorpus
    folder: Path
    device: str
    say: Say


def finish(
    space: Space,
    record: StudyRecord,
    corpus: Corpus,
    encoded: EncodedCorpus,
    folder: Path,
    *,
    say: Say | None = None,
    trained: Callable[[], Iterable[Baseline]] | None = None,
) -> None:
    """Test what is to be, and write all of a study's folder that follows from the journal.

    Args:
        record: Open for writing.
        say: Told what is going on, one line at a time.
        trained: Gives the baselines where they were trained before.
    """
    on_gpu = space.search.gpus_per_trial > 0 and torch.cuda.is_available()
    device = "cuda" if on_gpu else "cpu"  # as in the search, so that dev scores come out the same
    study = _Study(
        space=space,
        record=record,
        corpus=corpus,
        encoded=encoded,
        folder=folder,
        device=device,
        say=say or _silent,
    )
    if space.search.confirm.seeds or record.confirmed:
        _export_confirmed(study)
    else:
        _test_leaders(study)
    _run_baselines(study, corpus, trained or (lambda: baselines(corpus)))
    study.say("writing the tables and the report")
    write_views(record, space, folder)


def _test_leaders(study: _Study) -> None:
    """Test and export what leads the search, where nothing is confirmed."""
    leaders = study.record.leaders()
    for at in dict.fromkeys((leader.trial, leader.epoch) for leader in leaders.values()):
        names = [name for name, leader in leaders.items() if (leader.trial, leader.epoch) == at]
        _test_and_export(study, leaders[names[0]], names)


def _test_and_export(study: _Study, leader: Leader, names: list[str]) -> None:
    """Bring one model under all the objectives that it leads up to date."""
    model = _Model.of_leader(study, leader)
    untested = [name for name in names if not _is(study.record.tested.get(name), leader)]
    folders = [folder for name in names if (folder := _export_folder(study.folder, name))]
    stale = [folder for folder in folders if not _holds(folder, model)]
    if not untested and not stale:
        return
    known = next((e for e in study.record.tested.values() if _is(e, leader)), None)
    state = _weights(study, model) if stale or known is None else {}
    if state is None:
        return
    fields = _fields(known) if known else _test(study, model, state)
    for name in untested:
        identity = {"model": name, "trial": leader.trial, "epoch": leader.epoch}
        study.record.append("tested", **identity, **fields)
    for folder in stale:
        _export(study, folder, model, state, dev=fields["dev"], test=fields["scores"])


def _export_confirmed(study: _Study) -> None:
    """Export the winners' runs that are best on dev; what has none yet, untested, as it leads."""
    found = confirmation(study.record)
    leaders = study.record.leaders()
    for name in (AVERAGE, *(TASK + task for task in study.record.tasks)):
        folder = _export_folder(study.folder, name)
        winner = found.winner(name) if found else None
        assert folder is not None
        if winner is not None:
            runs = best_runs(study.record, winner.trial.id)
            _export_run(study, folder, winner.trial, runs.get(name) or runs[AVERAGE])
        elif name in leaders:
            _export_leader(study, folder, leaders[name])


def _export_run(study: _Study, folder: Path, trial: TrialRecord, run: RunRecord) -> None:
    model = _Model(run.id, trial, run.seed, run.epoch)
    if _holds(folder, model):
        return
    state = _weights(study, model)
    if state is not None:
        assert run.found is not None
        _export(study, folder, model, state, dev=run.found["dev"], test=run.found["scores"])


def _export_leader(study: _Study, folder: Path, leader: Leader) -> None:
    """Export a leader of the search as it is: test is for confirmed runs alone."""
    model = _Model.of_leader(study, leader)
    if _holds(folder, model):
        return
    state = _weights(study, model)
    if state is not None:
        report = next(r for r in model.trial.reports if r.epoch == leader.epoch)
        _export(study, folder, model, state, dev=report.scores, test=None)


@dataclass(frozen=True)
class _Model:
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
    def of_leader(cls, study: _Study, leader: Leader) -> "_Model":
        trial = study.record.trials[leader.trial]
        return cls(trial.id, trial, trial.seed, leader.epoch)

    @property
    def config(self) -> TrialConfig:
        return TrialConfig.from_dict(self.trial.config)


def _export(
    study: _Study,
    folder: Path,
    model: _Model,
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


def _weights(study: _Study, model: _Model) -> dict[str, Tensor] | None:
    """Return the parameters of that epoch; None where they are lost and nobody wants to wait."""
    path = snapshot_path(study.folder, model.name, model.epoch)
    try:
        return load_file(path)
    except (OSError, SafetensorError):  # a worker or the disk died over it
        if study.record.ended_reason == "interrupted":
            lost = f"{model.name}, epoch {model.epoch}: its weights are lost"
            study.say(f"{lost}; left for the next run")
            return None
    study.say(f"{model.name}: no weights at {path}, so it is trained again to epoch {model.epoch}")
    config, vectors = model.config, _vectors(study)
    trainer = Trainer(
        study.encoded,
        config,
        seed=model.seed,
        device=study.device,
        vectors=vectors,
        warm_up=_warm_up(study, vectors) if config.encoder.mlm_warm_up else None,
    )
    next(result for result in trainer.epochs() if result.epoch == model.epoch)
    return {name: value.detach().cpu() for name, value in trainer.model.named_parameters()}


def _warm_up(study: _Study, vectors: Any) -> WarmUp:
    texts, mlm = texts_path(study.corpus, study.encoded), study.space.data.mlm
    return WarmUp(study.encoded, texts, mlm, vectors=vectors, device=study.device)


def _vectors(study: _Study) -> Any:
    path = vectors_path(study.corpus, study.encoded, study.space.data)
    return None if path is None else vectors_for(study.encoded, path)


def _test(study: _Study, model: _Model, state: Mapping[str, Tensor]) -> dict[str, Any]:
    study.say(f"testing {model.name}, epoch {model.epoch} ({model.trial.structure})")
    restored = restore_model(study.encoded, model.config, state).to(study.device)
    return _fields(scored(restored, study.encoded, study.device))


def _run_baselines(
    study: _Study, corpus: Corpus, trained: Callable[[], Iterable[Baseline]]
) -> None:
    record, encoded = study.record, study.encoded
    if all(name in record.baselines for name in baseline_names(corpus)):
        return
    study.say("training the baselines: majority, TF-IDF logistic regression")
    for baseline in trained():
        if baseline.name not in record.baselines:
            fields = _baseline_fields(baseline, encoded)
            record.append("baseline", name=baseline.name, **fields)


def _baseline_fields(baseline: Baseline, encoded: EncodedCorpus) -> dict[str, Any]:
    found = {
        split: {
            task: _evaluation(baseline.answered[task][split], encoded.split(at, split))
            for at, task in enumerate(encoded.names)
        }
        for split in SCORED
    }
    test = found["test"]
    return {
        "dev": {task: of_task.score for task, of_task in found["dev"].items()},
        "dev_rows": {task: of_task.n_rows for task, of_task in found["dev"].items()},
        "test": {task: scores_of(of_task) for task, of_task in test.items()},
        **packed_test(test, encoded),
        "regularisation": baseline.regularisation,
    }


def _evaluation(answered: Answered, rows: EncodedSplit) -> TaskEvaluation:
    answers = answered.answers
    return TaskEvaluation(
        predicted=answers.predicted,
        labels=answers.labels,
        seen_in_train=np.array(rows.seen_in_train)[answered.given],
        names=tuple(answers.names),
        offsets=answers.offsets,
        metric=answered.metric,
    )


def _fields(event: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("dev", "dev_rows", "scores", "correct", "metrics", "seen")
    return {key: event[key] for key in keys if key in event}


def _export_folder(study: Path, objective: str) -> Path | None:
    """Return where the best model of an objective is exported to; structures are not."""
    if objective != AVERAGE and not objective.startswith(TASK):
        return None
    return study / BEST / objective.removeprefix(TASK)


def _about(folder: Path) -> dict[str, Any] | None:
    """Return which model an export holds; None where there is none."""
    try:
        about: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["about"]
    except (OSError, ValueError, KeyError):
        return None
    return about


def _holds(folder: Path, model: _Model) -> bool:
    """Whether an export is that model already."""
    about = _about(folder) or {}
    run = None if model.name == model.trial.id else model.name
    named = (model.trial.id, run, model.epoch)
    return (about.get("trial"), about.get("run"), about.get("epoch")) == named


def _is(found: Mapping[str, Any] | None, leader: Leader) -> bool:
    return found is not None and (found.get("trial"), found.get("epoch")) == (
        leader.trial,
        leader.epoch,
    )


def _silent(text: str) -> None:  # noqa: ARG001
    return
