"""`optuna.db`: the study as Optuna would have kept it, for optuna-dashboard; a view, never read.

Optuna makes the empty database, so its tables and their version are its own; the rows of all trials
then go in at once, by SQL. Optuna's `add_trials` takes 30 ms a trial, half a minute for a thousand;
this takes a tenth of a second. What it wrote is read by Optuna in the tests.
"""

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from mtl_core.errors import ConfigError
from mtl_core.files import replacing
from search.record import StudyRecord
from search.space import Space
from search.tables import RUN_AGAIN
from search.trial_record import Report, TrialRecord

OPTUNA_DB = "optuna.db"
_STATES = {"finished": "COMPLETE", "stopped": "PRUNED"}  # all others count as FAIL: none is running
_TRIAL = "INSERT INTO trials (trial_id, number, study_id, state, datetime_start, datetime_complete)"


def write_optuna_view(record: StudyRecord, space: Space, path: Path) -> None:
    """Write the database of a study; the study in it has the name of the space.

    Raises:
        ConfigError: The disk is full or may not be written to; the former file is untouched.
    """
    try:
        with replacing(path) as beside:
            beside.unlink()
            study_id = _make_empty(beside, space.name)
            with closing(sqlite3.connect(beside)) as database, database:
                database.execute("PRAGMA synchronous=OFF")  # it is renamed once it is whole
                _insert(database, study_id, record, space)
    except (sqlite3.Error, SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise ConfigError(f"{path}: cannot be written: {_root(error)}; {RUN_AGAIN}") from error


def _make_empty(path: Path, name: str) -> int:
    """Return the id of a new study in a new database."""

    def connect() -> sqlite3.Connection:  # not by URL, which gives "?" and "%" in a path a meaning
        return sqlite3.connect(path, isolation_level=None)

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would announce the study
    storage = optuna.storages.RDBStorage(
        "sqlite://", engine_kwargs={"creator": connect, "poolclass": NullPool}
    )
    try:
        direction = [optuna.study.StudyDirection.MAXIMIZE]
        study_id: int = storage.create_new_study(direction, study_name=name)
    finally:
        storage.remove_session()
        storage.engine.dispose()
        optuna.logging.set_verbosity(verbosity)
    return study_id


def _insert(database: sqlite3.Connection, study_id: int, record: StudyRecord, space: Space) -> None:
    trials = list(record.trials.values())
    database.execute(
        "INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (?, ?, ?)",
        (study_id, "tasks", json.dumps(record.tasks)),
    )
    database.executemany(
        f"{_TRIAL} VALUES (?, ?, ?, ?, ?, ?)", (_trial_row(trial, study_id) for trial in trials)
    )
    database.executemany(
        "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) "
        "VALUES (?, ?, ?, ?)",
        _parameters(trials, space),
    )
    database.executemany(
        "INSERT INTO trial_values (trial_id, objective, value, value_type) "
        "VALUES (?, 0, ?, 'FINITE')",
        ((t.number, t.leader.score) for t in trials if t.state == "finished" and t.leader),
    )
    database.executemany(
        "INSERT INTO trial_intermediate_values "
        "(trial_id, step, intermediate_value, intermediate_value_type) VALUES (?, ?, ?, ?)",
        ((t.number, r.epoch, *_intermediate(r)) for t in trials for r in t.reports),
    )
    database.executemany(
        "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (?, ?, ?)",
        (
            (trial.number, key, json.dumps(value))
            for trial in trials
            for key, value in _attributes(trial).items()
        ),
    )


def _trial_row(trial: TrialRecord, study_id: int) -> tuple[Any, ...]:
    state = _STATES.get(trial.state, "FAIL") if trial.leader else "FAIL"  # as TPE is told
    start = trial.started_at or trial.proposed_at
    last = trial.reports[-1].time if trial.reports else start
    end = trial.ended_at or last
    return trial.number, trial.number - 1, study_id, state, _moment(start), _moment(end)


def _parameters(
    trials: Iterable[TrialRecord], space: Space
) -> Iterator[tuple[int, str, float, str]]:
    for trial in trials:
        try:
            distributions = space.distributions_for(trial.values)
            values = space.to_optuna(trial.values)
        except ConfigError:  # values of a space that has been narrowed since: shown without them
            continue
        for name, value in values.items():
            number, text = _internal(distributions[name], value)
            yield trial.number, name, number, text


def _internal(distribution: BaseDistribution, value: Any) -> tuple[float, str]:
    return distribution.to_internal_repr(value), distribution_to_json(distribution)


def _intermediate(report: Report) -> tuple[float | None, str]:
    if math.isnan(report.value):
        return None, "NAN"
    return report.value, "FINITE"


def _attributes(trial: TrialRecord) -> dict[str, Any]:
    found: dict[str, Any] = {
        "trial": trial.id,
        "structure": trial.structure,
        "source": trial.source,
        "seed": trial.seed,
        "state": trial.state,
    }
    if trial.failure:
        found |= {"failure": trial.failure.kind, "reason": trial.failure.reason}
    return found


def _root(error: BaseException) -> BaseException:
    """Return SQLite's own error; SQLAlchemy's around it holds the whole statement."""
    return error if error.__cause__ is None else _root(error.__cause__)


def _moment(seconds: float) -> str:
    """Return local time as SQLAlchemy stores it, which is what Optuna's own trials have."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")
