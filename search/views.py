"""Everything in a study's folder that is written from its journal, and can be at any time.

trials.parquet curves.parquet   every trial; every epoch of every task (`tables.py`)
confirmed.parquet               the trainings with fresh seeds, dev and test, where there are any
predictions.parquet             which test rows each tested model and baseline gets right
optuna.db                       for optuna-dashboard (`optuna_view.py`)
report.md report.html           the answer (`report/`)
SHA256SUMS                      checksums of these (`checksums.py`)
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mtl_core.files import write_text
from mtl_core.foreign import read_object
from search.affinity.file import read_affinity
from search.checksums import write_checksums
from search.record import StudyRecord
from search.report.findings import Findings
from search.report.markdown import markdown
from search.report.statistics import Rows, Scored
from search.report.tested import Tested
from search.space import Space
from search.tables import write_table, write_tables

if TYPE_CHECKING:
    from search.report.html.material import Material

AUDIT, ENVIRONMENT = "audit.json", "environment.json"
PREDICTIONS, REPORT, PAGE = "predictions.parquet", "report.md", "report.html"
_NAMES = pa.dictionary(pa.int32(), pa.string())
_SCHEMA = pa.schema(
    {
        "model": _NAMES,  # "average", "task:books", "structure:stack_cls", or a baseline's name
        "trial": _NAMES,
        "run": pa.int32(),  # of several trainings of a confirmed model, from 1
        "epoch": pa.int32(),  # null where each run has its own (`confirmed.parquet`)
        "task": _NAMES,
        "row": pa.int32(),  # of the task's test split, from 0
        "correct": pa.bool_(),  # null where the metric is no accuracy
        "seen_in_train": pa.bool_(),
    }
)


def write_views(record: StudyRecord, space: Space, folder: Path) -> None:
    """Write all views of the journal, each whole or not at all."""
    from search.optuna_view import OPTUNA_DB, write_optuna_view  # brings a database along
    from search.report.html.page import page  # brings templates along

    material = material_of(record, space, folder)
    text = markdown(
        material.findings,
        audit=material.audit,
        environment=material.environment,
        affinity=material.affinity,
        n_configurations=space.size(),
    )
    write_text(folder / REPORT, text)  # first, since it is what a nearly full disk should hold
    write_tables(record, folder)
    write_table(predictions_table(material.findings), folder / PREDICTIONS)
    write_optuna_view(record, space, folder / OPTUNA_DB)
    write_text(folder / PAGE, page(material))
    write_checksums(folder)


def material_of(record: StudyRecord, space: Space, folder: Path) -> "Material":
    """Return what the reports of a study are made of; it may be under way."""
    from search.report.html.material import Material  # brings plotly along

    audit, environment = (read_object(folder / name) for name in (AUDIT, ENVIRONMENT))
    return Material(Findings(record), space, audit, environment, read_affinity(folder))


def predictions_table(findings: Findings) -> pa.Table:
    """Return one row per tested model or baseline, task and test row."""
    tested = (*findings.baselines.values(), *findings.models.values())
    batches = [batch for one in tested for batch in _all_batches(one)]
    return pa.Table.from_batches(batches, _SCHEMA).unify_dictionaries()


def _all_batches(tested: Tested) -> Iterator[pa.RecordBatch]:
    if not tested.runs:
        yield from _batches(tested, tested.correct, None)
    for number, rows in enumerate(tested.runs, start=1):
        yield from _batches(tested, rows, number)


def _batches(tested: Tested, rows: Rows, run: int | None) -> Iterator[pa.RecordBatch]:
    trial = tested.trial.id if tested.trial else None
    epoch = tested.epoch if run is None else None
    for task, correct in rows.items():
        n = len(correct)
        columns = [
            _repeated(tested.name, n),
            _repeated(trial, n),
            pa.array([run] * n, pa.int32()),
            pa.array([epoch] * n, pa.int32()),
            _repeated(task, n),
            pa.array(np.arange(n), pa.int32()),
            pa.nulls(n, pa.bool_()) if isinstance(correct, Scored) else pa.array(correct),
            pa.array(tested.seen[task]),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)


def _repeated(name: str | None, n: int) -> pa.DictionaryArray:
    indices = pa.array([None if name is None else 0] * n, pa.int32())
    return pa.DictionaryArray.from_arrays(indices, pa.array([name or ""]))
