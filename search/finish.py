"""The end of a study: run the baselines, export the best, write the views.

Where a confirmation is asked for, test has been scored by its runs (`confirm.py`) and by nothing
else: the winners' best runs on dev are exported, and a leader of the search that is not confirmed
yet stays untested. Without a confirmation the leaders are tested here, each at most once: its rows
go into the journal with the "tested" event before anything is made of them, and a second run takes
them from there. So this can be cut off anywhere and run again, and a study that goes on tests only
what newly leads.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mtl_core.answers import Answered
from mtl_core.baselines import SCORED, Baseline, baseline_names, baselines
from mtl_core.data.encoded import EncodedCorpus, EncodedSplit
from mtl_core.data.task import Corpus
from mtl_core.training.models import restore_model
from mtl_core.training.task_evaluation import TaskEvaluation
from search.affinity.drive import relate_tasks
from search.best_models import (
    Model,
    export_confirmed,
    export_folder,
    export_model,
    holds,
    weights_of,
)
from search.record import StudyRecord
from search.scored import packed_test, scored, scores_of
from search.space import Space
from search.study_files import Say, StudyFiles, device_of
from search.trial_record import Leader
from search.views import write_views


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
    study = StudyFiles(
        space=space,
        record=record,
        corpus=corpus,
        encoded=encoded,
        folder=folder,
        device=device_of(space),
        say=say or _silent,
    )
    if space.search.confirm.seeds or record.confirmed:
        export_confirmed(study)
    else:
        _test_leaders(study)
    _run_baselines(study, corpus, trained or (lambda: baselines(corpus)))
    relate_tasks(study)
    study.say("writing the tables and the report")
    write_views(record, space, folder)


def _test_leaders(study: StudyFiles) -> None:
    """Test and export what leads the search, where nothing is confirmed."""
    leaders = study.record.leaders()
    for at in dict.fromkeys((leader.trial, leader.epoch) for leader in leaders.values()):
        names = [name for name, leader in leaders.items() if (leader.trial, leader.epoch) == at]
        _test_and_export(study, leaders[names[0]], names)


def _test_and_export(study: StudyFiles, leader: Leader, names: list[str]) -> None:
    """Bring one model under all the objectives that it leads up to date."""
    model = Model.of_leader(study, leader)
    untested = [name for name in names if not _is(study.record.tested.get(name), leader)]
    folders = [folder for name in names if (folder := export_folder(study.folder, name))]
    stale = [folder for folder in folders if not holds(folder, model)]
    if not untested and not stale:
        return
    known = next((e for e in study.record.tested.values() if _is(e, leader)), None)
    state = weights_of(study, model) if stale or known is None else {}
    if state is None:
        return
    fields = _fields(known) if known else _test(study, model, state)
    for name in untested:
        identity = {"model": name, "trial": leader.trial, "epoch": leader.epoch}
        study.record.append("tested", **identity, **fields)
    for folder in stale:
        export_model(study, folder, model, state, dev=fields["dev"], test=fields["scores"])


def _test(study: StudyFiles, model: Model, state: Mapping[str, Tensor]) -> dict[str, Any]:
    study.say(f"testing {model.name}, epoch {model.epoch} ({model.trial.structure})")
    restored = restore_model(study.encoded, model.config, state).to(study.device)
    return _fields(scored(restored, study.encoded, study.device))


def _run_baselines(
    study: StudyFiles, corpus: Corpus, trained: Callable[[], Iterable[Baseline]]
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


def _is(found: Mapping[str, Any] | None, leader: Leader) -> bool:
    return found is not None and (found.get("trial"), found.get("epoch")) == (
        leader.trial,
        leader.epoch,
    )


def _silent(text: str) -> None:  # noqa: ARG001
    return
