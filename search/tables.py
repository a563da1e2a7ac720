"""The study as tables: of trials, of their epochs and tasks, and of confirmed runs and tasks.

Views of the journal, written as Parquet (no pickle) and read with pandas, DuckDB or anything else.
A searched value has the column of its dotted key (`training.learning_rate`), a task's dev score at
the epoch of the best average the column `dev.<task>`. What has no value is null, never a made-up 0.
"""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mtl_core.errors import ConfigError
from mtl_core.files import replacing
from search.confirm_record import RunRecord
from search.record import StudyRecord
from search.trial_record import Report, TrialRecord

TRIALS, CURVES, CONFIRMED = "trials.parquet", "curves.parquet", "confirmed.parquet"
RUN_AGAIN = "make room and run the same command again"
_TRIAL_COLUMNS = {
    "trial": pa.string(),
    "number": pa.int64(),
    "state": pa.string(),
    "source": pa.string(),
    "structure": pa.string(),
    "divergence_depth": pa.string(),  # one number, or one a task: "2" or "2,2,4"
    "n_layers": pa.int64(),
    "weighting": pa.string(),
    "seed": pa.int64(),
    "epochs": pa.int64(),
    "best_epoch": pa.int64(),
    "dev_average": pa.float64(),
    "seconds": pa.float64(),
    "attempts": pa.int64(),
    "ended_by": pa.string(),
    "failure_kind": pa.string(),
    "failure_reason": pa.string(),
}
_CURVE_COLUMNS = {
    "trial": pa.string(),
    "epoch": pa.int64(),
    "task": pa.string(),
    "score": pa.float64(),
    "loss": pa.float64(),
    "average": pa.float64(),
    "mean_loss": pa.float64(),
    "tokens_per_second": pa.float64(),
    "seconds": pa.float64(),
    "attempt": pa.int64(),
}
_CONFIRMED_COLUMNS = {
    "trial": pa.string(),  # whose configuration it is
    "roles": pa.list_(pa.string()),  # what the trial was shortlisted for
    "run": pa.string(),
    "number": pa.int64(),
    "seed": pa.int64(),
    "state": pa.string(),
    "epoch": pa.int64(),
    "epochs": pa.int64(),
    "task": pa.string(),
    "metric": pa.string(),
    "dev": pa.float64(),
    "test": pa.float64(),
    "test_unseen": pa.float64(),  # on the rows that occur in no train split
    "test_rows": pa.int64(),
    "test_rows_unseen": pa.int64(),
    "seconds": pa.float64(),
    "failure_kind": pa.string(),
    "failure_reason": pa.string(),
}


def write_tables(record: StudyRecord, folder: Path) -> None:
    """Write `trials.parquet`, `curves.parquet` and, if there is one, `confirmed.parquet`."""
    write_table(trials_table(record), folder / TRIALS)
    write_table(curves_table(record), folder / CURVES)
    if record.confirmation.runs:
        write_table(confirmed_table(record), folder / CONFIRMED)


def write_table(table: pa.Table, path: Path) -> None:
    """Write one table, whole or not at all.

    Raises:
        ConfigError: The disk is full or may not be written to.
    """
    try:
        with replacing(path) as beside:
            pq.write_table(table, beside, compression="zstd", write_page_checksum=True)
    except OSError as error:  # Arrow's own do not name the file
        reason = os.strerror(error.errno) if error.errno else error
        raise ConfigError(f"{path}: cannot be written: {reason}; {RUN_AGAIN}") from error


def trials_table(record: StudyRecord) -> pa.Table:
    """Return one row per trial, in the order in which they were proposed."""
    trials = list(record.trials.values())
    rows = [_trial_row(trial) for trial in trials]
    columns = {
        name: pa.array([row[name] for row in rows], kind) for name, kind in _TRIAL_COLUMNS.items()
    }
    bests = [_best_report(trial) for trial in trials]
    for task in record.tasks:
        scores = [best.scores.get(task) if best else None for best in bests]
        columns[f"dev.{task}"] = pa.array([_finite(score) for score in scores], pa.float64())
    for key in sorted({key for trial in trials for key in trial.values}):
        columns[key] = _value_column([trial.values.get(key) for trial in trials])
    return pa.table(columns)


def curves_table(record: StudyRecord) -> pa.Table:
    """Return one row per trial, epoch and task: the dev score, the losses and the speed."""
    rows = [
        _curve_row(trial, report, task)
        for trial in record.trials.values()
        for report in trial.reports
        for task in report.scores
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema(list(_CURVE_COLUMNS.items())))


def confirmed_table(record: StudyRecord) -> pa.Table:
    """Return one row per run that has ended and task; of a failed run without scores."""
    runs = [run for run in record.confirmation.runs.values() if run.ended]
    rows = [_confirmed_row(record, run, task) for run in runs for task in record.tasks]
    return pa.Table.from_pylist(rows, schema=pa.schema(list(_CONFIRMED_COLUMNS.items())))


def _confirmed_row(record: StudyRecord, run: RunRecord, task: str) -> dict[str, Any]:
    failure = run.failure
    row = {
        "trial": run.trial,
        "roles": list(record.confirmation.shortlist.get(run.trial, ())),
        "run": run.id,
        "number": run.number,
        "seed": run.seed,
        "state": run.state,
        "task": task,
        "failure_kind": failure.kind if failure else None,
        "failure_reason": failure.reason if failure else None,
    }
    if run.found is None:
        return row
    scores = run.found["scores"][task]
    metric = next(iter(scores))  # first of all comes the score
    return row | {
        "epoch": run.epoch,
        "epochs": run.epochs,
        "metric": metric,
        "dev": run.found["dev"][task],
        "test": scores[metric],
        "test_unseen": scores[f"{metric}_unseen"],
        "test_rows": scores["rows"],
        "test_rows_unseen": scores["rows_unseen"],
        "seconds": run.seconds,
    }


def _trial_row(trial: TrialRecord) -> dict[str, Any]:
    sharing, best = trial.config["sharing"], trial.best.get("average")
    failure = trial.failure
    return {
        "trial": trial.id,
        "number": trial.number,
        "state": trial.state,
        "source": trial.source,
        "structure": trial.structure,
        "divergence_depth": _depth(sharing.get("divergence_depth")),
        "n_layers": trial.config["encoder"]["n_layers"],
        "weighting": trial.config["weighting"]["method"],
        "seed": trial.seed,
        "epochs": len(trial.reports),
        "best_epoch": best.epoch if best else None,
        "dev_average": best.score if best else None,
        "seconds": math.fsum(_finite(report.seconds) or 0.0 for report in trial.reports),
        "attempts": trial.attempt,
        "ended_by": "rung" if trial.state == "stopped" else trial.reason,
        "failure_kind": failure.kind if failure else None,
        "failure_reason": failure.reason if failure else None,
    }


def _curve_row(trial: TrialRecord, report: Report, task: str) -> dict[str, Any]:
    return {
        "trial": trial.id,
        "epoch": report.epoch,
        "task": task,
        "score": _finite(report.scores[task]),
        "loss": _finite(report.losses.get(task)),
        "average": _finite(report.average),
        "mean_loss": _finite(report.loss),
        "tokens_per_second": _finite(report.tokens_per_second),
        "seconds": _finite(report.seconds),
        "attempt": report.attempt,
    }


def _best_report(trial: TrialRecord) -> Report | None:
    best = trial.best.get("average")
    return next((r for r in trial.reports if best and r.epoch == best.epoch), None)


def _value_column(values: Sequence[Any]) -> pa.Array:
    """Return the values in the narrowest type that holds them all; JSON text for mixed ones."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and float in kinds:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    if len(kinds) == 1 and kinds <= {bool, int, str}:
        return pa.array(values)
    texts = [None if value is None else json.dumps(value) for value in values]
    return pa.array(texts, pa.string())


def _depth(depth: Any) -> str | None:
    if depth is None:
        return None
    return ",".join(map(str, depth)) if isinstance(depth, Sequence) else str(depth)


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
