"""The tables hold what the journal says, with types that other programs understand."""

import errno
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mtl_core.errors import ConfigError
from mtl_core.training.config import TrialConfig
from search.record import StudyRecord
from search.tables import curves_table, trials_table, write_tables

Events = list[dict[str, Any]]


def start() -> Events:
    return [
        {
            "event": "study", "time": 0.0, "format": 1, "name": "s", "space_digest": "",
            "data_fingerprint": "", "seed": 0, "tasks": ["books", "films"],
        }
    ]  # fmt: skip


def propose(events: Events, structure: str, depth: Any = None, **values: Any) -> str:
    number = sum(event["event"] == "proposed" for event in events) + 1
    trial = f"t{number:04d}"
    sharing = {"structure": structure, "divergence_depth": depth}
    config = TrialConfig.from_dict({"sharing": sharing}).as_dict()
    events += [
        {
            "event": "proposed", "time": 1.0, "trial": trial, "number": number, "values": values,
            "config": config, "seed": 7, "source": "tpe",
        },
        {"event": "started", "time": 1.0, "trial": trial, "attempt": 1, "worker": "w"},
    ]  # fmt: skip
    return trial


def report(events: Events, trial: str, epoch: int, books: float | None, films: float) -> None:
    average = None if books is None else (books + films) / 2
    events.append(
        {
            "event": "reported", "time": 2.0, "trial": trial, "epoch": epoch, "average": average,
            "scores": {"books": books, "films": films}, "loss": 0.5,
            "losses": {"books": 0.4, "films": 0.6}, "tokens_per_second": 100.0, "seconds": 1.5,
        }
    )  # fmt: skip


def frame(events: Events) -> pd.DataFrame:
    return trials_table(StudyRecord(None, events)).to_pandas()


def test_finished_trial_has_its_best_epoch() -> None:
    events = start()
    trial = propose(events, "stack_cls", 2, **{"training.learning_rate": 0.01})
    report(events, trial, 1, 0.7, 0.9)
    report(events, trial, 2, 0.9, 0.8)
    report(events, trial, 3, 0.6, 0.8)
    events.append(
        {"event": "finished", "time": 9.0, "trial": trial, "epochs": 3, "reason": "epochs"}
    )

    row = frame(events).iloc[0]

    assert (row["trial"], row["number"], row["state"], row["seed"]) == ("t0001", 1, "finished", 7)
    assert (row["structure"], row["divergence_depth"], row["n_layers"]) == ("stack_cls", "2", 4)
    assert (row["epochs"], row["best_epoch"], row["ended_by"]) == (3, 2, "epochs")
    assert row["dev_average"] == pytest.approx(0.85)
    assert (row["dev.books"], row["dev.films"]) == (0.9, 0.8)
    assert row["seconds"] == pytest.approx(4.5)
    assert row["training.learning_rate"] == 0.01


def test_failed_trial_has_its_reason_and_nothing_made_up() -> None:
    events = start()
    trial = propose(events, "single_task")
    events.append(
        {
            "event": "failed", "time": 2.0, "trial": trial, "kind": "diverged",
            "reason": "loss is NaN", "traceback": None,
        }
    )  # fmt: skip

    row = frame(events).iloc[0]

    assert (row["failure_kind"], row["failure_reason"]) == ("diverged", "loss is NaN")
    assert row[["best_epoch", "dev_average", "dev.books", "divergence_depth"]].isna().all()


def test_stopped_trial_was_ended_by_its_rung() -> None:
    events = start()
    trial = propose(events, "single_task")
    report(events, trial, 2, 0.5, 0.5)
    events.append({"event": "stopped", "time": 3.0, "trial": trial, "epoch": 2, "rung": 2})

    row = frame(events).iloc[0]

    assert (row["state"], row["ended_by"]) == ("stopped", "rung")


def test_value_that_a_trial_does_not_have_is_null() -> None:
    events = start()
    propose(events, "single_task", **{"a.x": 1})
    propose(events, "single_task", **{"b.y": True})

    found = trials_table(StudyRecord(None, events))

    assert found.column("a.x").to_pylist() == [1, None]
    assert found.column("b.y").to_pylist() == [None, True]


@pytest.mark.parametrize(
    ("values", "kind", "read"),
    [
        ([1, 2], pa.int64(), [1, 2]),
        ([1, 0.5], pa.float64(), [1.0, 0.5]),
        (["a", "b"], pa.string(), ["a", "b"]),
        ([True, False], pa.bool_(), [True, False]),
        ([True, 1], pa.string(), ["true", "1"]),
        ([2, [1, 3]], pa.string(), ["2", "[1, 3]"]),
        ([None, None], pa.string(), [None, None]),
    ],
)
def test_columns_of_values_have_one_type(values: Any, kind: pa.DataType, read: Any) -> None:
    events = start()
    for value in values:
        propose(events, "single_task", k=value)

    column = trials_table(StudyRecord(None, events)).column("k")

    assert column.type == kind
    assert column.to_pylist() == read


def test_depths_by_task_are_one_text() -> None:
    events = start()
    propose(events, "stack_cls", [1, 3])

    assert frame(events)["divergence_depth"].tolist() == ["1,3"]


def test_curves_have_a_row_for_each_trial_epoch_and_task() -> None:
    events = start()
    for structure in ("single_task", "stack_cls"):
        trial = propose(events, structure)
        report(events, trial, 1, 0.7, 0.9)
        report(events, trial, 2, None, 0.8)

    rows = curves_table(StudyRecord(None, events)).to_pandas()

    assert len(rows) == 2 * 2 * 2
    assert not rows.duplicated(["trial", "epoch", "task"]).any()
    first = rows[(rows["trial"] == "t0001") & (rows["epoch"] == 1)]
    assert first["score"].tolist() == [0.7, 0.9]
    assert first["loss"].tolist() == [0.4, 0.6]
    assert first["average"].tolist() == [0.8, 0.8]
    second = rows[(rows["trial"] == "t0001") & (rows["epoch"] == 2)]
    assert second["score"].isna().tolist() == [True, False]


def test_study_without_trials_has_empty_tables_with_the_same_columns() -> None:
    record = StudyRecord(None, start())

    assert trials_table(record).num_rows == 0
    assert "dev.books" in trials_table(record).column_names
    assert curves_table(record).column_names[:3] == ["trial", "epoch", "task"]


def test_files_are_written_whole_beside_nothing_else(tmp_path: Path) -> None:
    events = start()
    report(events, propose(events, "single_task"), 1, 0.5, 0.5)

    write_tables(StudyRecord(None, events), tmp_path)

    assert sorted(os.listdir(tmp_path)) == ["curves.parquet", "trials.parquet"]
    assert pq.read_table(tmp_path / "curves.parquet").num_rows == 2


def test_full_disk_is_one_message_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "[Errno 28] Error writing bytes to file. Detail: ...")

    monkeypatch.setattr(pq, "write_table", full)

    with pytest.raises(ConfigError, match=r"trials\.parquet: cannot be written: No space left"):
        write_tables(StudyRecord(None, start()), tmp_path)

    assert list(tmp_path.iterdir()) == []
