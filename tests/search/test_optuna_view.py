"""Optuna itself reads the view, and finds what the journal says."""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from sqlalchemy.exc import SQLAlchemyError

from mtl_core.errors import ConfigError
from search import optuna_view as module
from search.optuna_view import write_optuna_view
from search.record import StudyRecord
from search.space import Space, parse_space

SPACE = """
name: hand_made
search: {trials: 10}
encoder: {n_layers: {choice: [2, 4]}}
sharing:
  structure: {choice: [single_task, stack_cls]}
  divergence_depth: {int: [0, n_layers], when: {structure: stack_cls}}
training: {learning_rate: {float: [0.0001, 0.01], log: true}}
"""
VALUES = {
    "encoder.n_layers": 4,
    "sharing.structure": "stack_cls",
    "sharing.divergence_depth": 3,
    "training.learning_rate": 0.001,
}
FINISHED = {"event": "finished", "epochs": 2, "reason": "epochs"}
STOPPED = {"event": "stopped", "epoch": 2, "rung": 2}
FAILED = {"event": "failed", "kind": "diverged", "reason": "loss is NaN", "traceback": None}


@pytest.fixture
def space() -> Space:
    return parse_space(SPACE)


class Maker:
    """Events of a study whose trials report two epochs each."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.events: list[dict[str, Any]] = [
            {
                "event": "study", "time": 0.0, "format": 1, "name": "hand_made",
                "space_digest": "", "data_fingerprint": "", "seed": 0, "tasks": ["a", "b"],
            }
        ]  # fmt: skip
        self.n_trials = 0

    def trial(
        self,
        end: dict[str, Any] | None,
        averages: tuple[float | None, ...] = (0.6, 0.8),
        values: dict[str, Any] = VALUES,
    ) -> "Maker":
        self.n_trials += 1
        trial = {"trial": f"t{self.n_trials:04d}", "time": 100.0 * self.n_trials}
        config = self.space.configure(values).as_dict()
        self.events.append(
            {
                "event": "proposed", "number": self.n_trials, "values": values, "config": config,
                "seed": 1, "source": "tpe", **trial,
            }
        )  # fmt: skip
        self.events.append({"event": "started", "attempt": 1, "worker": "w", **trial})
        for epoch, average in enumerate(averages, start=1):
            self.events.append(
                {
                    "event": "reported", "epoch": epoch, "average": average,
                    "scores": {"a": average, "b": average}, "loss": 0.1, "losses": {},
                    "tokens_per_second": 1.0, "seconds": 1.0, **trial,
                }
            )  # fmt: skip
        if end:
            self.events.append({**end, **trial, "time": 100.0 * self.n_trials + 7})
        return self

    def write(self, path: Path) -> None:
        write_optuna_view(StudyRecord(None, self.events), self.space, path)


@contextmanager
def opened(path: Path, name: str = "hand_made") -> Iterator[optuna.Study]:
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    try:
        yield optuna.load_study(study_name=name, storage=storage)
    finally:
        storage.remove_session()
        storage.engine.dispose()


def test_finished_trial_is_complete_with_its_best_average(space: Space, tmp_path: Path) -> None:
    Maker(space).trial(FINISHED, (0.8, 0.6)).write(tmp_path / "optuna.db")

    with opened(tmp_path / "optuna.db") as study:
        trial = study.trials[0]

    assert trial.state == optuna.trial.TrialState.COMPLETE
    assert trial.value == 0.8
    assert trial.intermediate_values == {1: 0.8, 2: 0.6}
    assert trial.user_attrs["trial"] == "t0001"
    assert trial.user_attrs["structure"] == "stack_cls"
    assert trial.duration is not None
    assert trial.duration.total_seconds() == 7


def test_parameters_are_those_of_the_space(space: Space, tmp_path: Path) -> None:
    Maker(space).trial(FINISHED).write(tmp_path / "optuna.db")

    with opened(tmp_path / "optuna.db") as study:
        trial = study.trials[0]

    assert trial.params == space.to_optuna(VALUES)
    assert trial.distributions == space.distributions_for(VALUES)
    assert space.from_optuna(trial.params) == VALUES


def test_stopped_trial_is_pruned_with_its_steps(space: Space, tmp_path: Path) -> None:
    Maker(space).trial(STOPPED).write(tmp_path / "optuna.db")

    with opened(tmp_path / "optuna.db") as study:
        trial = study.trials[0]

    assert trial.state == optuna.trial.TrialState.PRUNED
    assert trial.last_step == 2
    assert trial.value is None


def test_a_trial_stopped_without_any_score_has_failed(space: Space, tmp_path: Path) -> None:
    Maker(space).trial(STOPPED, (None, None)).write(tmp_path / "optuna.db")

    with opened(tmp_path / "optuna.db") as study:
        assert study.trials[0].state == optuna.trial.TrialState.FAIL


def test_nothing_is_left_running(space: Space, tmp_path: Path) -> None:
    maker = Maker(space).trial(FINISHED).trial(FAILED, ()).trial(None).trial(None, ())
    maker.write(tmp_path / "optuna.db")

    with opened(tmp_path / "optuna.db") as study:
        states = Counter(trial.state.name for trial in study.trials)
        numbers = [trial.number for trial in study.trials]

    assert states == {"COMPLETE": 1, "FAIL": 3}
    assert numbers == [0, 1, 2, 3]


def test_score_that_is_no_number_is_shown_and_never_the_best(space: Space, tmp_path: Path) -> None:
    Maker(space).trial(FINISHED, (None, None)).trial(FINISHED).write(tmp_path / "optuna.db")

    with opened(tmp_path / "optuna.db") as study:
        broken, best = study.trials[0], study.best_trial

    assert broken.state == optuna.trial.TrialState.FAIL
    assert np.isnan(broken.intermediate_values[1])
    assert best.number == 1


def test_failed_trial_carries_its_reason(space: Space, tmp_path: Path) -> None:
    Maker(space).trial(FAILED, ()).write(tmp_path / "optuna.db")

    with opened(tmp_path / "optuna.db") as study:
        attributes = study.trials[0].user_attrs

    assert (attributes["failure"], attributes["reason"]) == ("diverged", "loss is NaN")


def test_optuna_can_go_on_from_the_view(space: Space, tmp_path: Path) -> None:
    Maker(space).trial(FINISHED).trial(STOPPED).write(tmp_path / "optuna.db")

    with opened(tmp_path / "optuna.db") as study:
        values = space.suggest(study.ask())

    assert space.configure(values)


def test_study_without_trials_opens(space: Space, tmp_path: Path) -> None:
    Maker(space).write(tmp_path / "optuna.db")

    with opened(tmp_path / "optuna.db") as study:
        assert study.trials == []
        assert study.direction == optuna.study.StudyDirection.MAXIMIZE
        assert study.user_attrs["tasks"] == ["a", "b"]


def test_former_view_is_replaced_and_nothing_left_beside_it(space: Space, tmp_path: Path) -> None:
    Maker(space).trial(FINISHED).write(tmp_path / "optuna.db")
    Maker(space).trial(FINISHED).trial(STOPPED).write(tmp_path / "optuna.db")

    with opened(tmp_path / "optuna.db") as study:
        assert len(study.trials) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["optuna.db"]


def test_full_disk_is_one_message_and_the_former_view_stays(
    space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "optuna.db"
    Maker(space).trial(FINISHED).write(path)
    former = path.read_bytes()

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(module, "_insert", full)
    with pytest.raises(ConfigError, match=r"optuna\.db: cannot be written: .*disk is full"):
        Maker(space).write(path)

    assert path.read_bytes() == former
    assert [entry.name for entry in tmp_path.iterdir()] == ["optuna.db"]


def test_message_of_a_full_disk_holds_no_sql(
    space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        try:
            raise sqlite3.OperationalError("database or disk is full")
        except sqlite3.Error as error:
            raise SQLAlchemyError("[SQL: CREATE TABLE studies]") from error

    monkeypatch.setattr(optuna.storages, "RDBStorage", full)

    with pytest.raises(ConfigError) as caught:
        Maker(space).write(tmp_path / "optuna.db")

    assert "disk is full; make room" in str(caught.value)
    assert "SQL:" not in str(caught.value)


def test_folder_with_odd_signs_in_its_name_is_taken(space: Space, tmp_path: Path) -> None:
    folder = tmp_path / "a?b%20c=d"
    folder.mkdir()

    Maker(space).trial(FINISHED).write(folder / "optuna.db")

    (folder / "optuna.db").rename(tmp_path / "plain.db")
    with opened(tmp_path / "plain.db") as study:
        assert len(study.trials) == 1


def test_values_of_a_former_space_are_left_out(space: Space, tmp_path: Path) -> None:
    maker = Maker(space).trial(FINISHED)
    maker.events[1]["values"] = {"gone.key": 1}

    maker.write(tmp_path / "optuna.db")

    with opened(tmp_path / "optuna.db") as study:
        assert study.trials[0].params == {}
        assert study.trials[0].value == 0.8


def test_thousand_trials_take_seconds(space: Space, tmp_path: Path) -> None:
    maker, rng = Maker(space), np.random.default_rng(0)
    for _ in range(1000):
        maker.trial(FINISHED, (0.5,) * 8, space.sample(rng))
    record = StudyRecord(None, maker.events)

    started = time.process_time()  # whatever else the machine does
    write_optuna_view(record, space, tmp_path / "optuna.db")
    seconds = time.process_time() - started

    assert seconds < 10  # Optuna's own way takes 30
    with opened(tmp_path / "optuna.db") as study:
        assert len(study.trials) == 1000
