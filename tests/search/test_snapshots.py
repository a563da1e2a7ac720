"""Which weights are kept: the worker's side, and the driver's."""

from pathlib import Path
from typing import Any

import pytest

from mtl_core.training.config import TrialConfig
from search.record import StudyRecord
from search.snapshots import SnapshotKeeper, prune, snapshot_path


def save(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")


def kept(study: Path) -> list[str]:
    return sorted(path.stem for path in (study / "models").glob("*"))


def make_keeper(study: Path, **leaders: float) -> SnapshotKeeper:
    dotted = {key.replace("__", ":"): score for key, score in leaders.items()}
    return SnapshotKeeper(study, "t0001", structure="stack_cls", leaders=dotted)


def test_the_first_epoch_leads_everywhere_when_nothing_led(tmp_path: Path) -> None:
    objectives = make_keeper(tmp_path).offer(1, 0.5, {"books": 0.5}, save)

    assert set(objectives) == {"average", "task:books", "structure:stack_cls"}
    assert kept(tmp_path) == ["t0001-e1"]


def test_an_epoch_that_only_equals_the_leader_is_not_written(tmp_path: Path) -> None:
    keeper = make_keeper(tmp_path, average=0.5, task__books=0.5, structure__stack_cls=0.5)

    assert keeper.offer(1, 0.5, {"books": 0.5}, save) == ()
    assert kept(tmp_path) == []


def test_a_superseded_epoch_is_deleted_and_one_that_still_leads_a_task_stays(
    tmp_path: Path,
) -> None:
    keeper = make_keeper(tmp_path)
    keeper.offer(1, 0.5, {"books": 0.9, "dvd": 0.1}, save)
    keeper.offer(2, 0.6, {"books": 0.8, "dvd": 0.4}, save)

    assert keeper.offer(3, 0.7, {"books": 0.85, "dvd": 0.55}, save) == (
        "task:dvd", "average", "structure:stack_cls",
    )  # fmt: skip
    assert kept(tmp_path) == ["t0001-e1", "t0001-e3"]


def test_a_score_that_is_not_a_number_leads_nothing(tmp_path: Path) -> None:
    nan = float("nan")

    assert make_keeper(tmp_path).offer(1, nan, {"books": nan}, save) == ()


@pytest.fixture
def record() -> StudyRecord:
    """Two ended trials and one in training that leads on average."""
    config = TrialConfig().as_dict()
    events: list[dict[str, Any]] = [
        {"event": "study", "time": 0, "format": 1, "tasks": ["books"], "name": "s"}
    ]
    for number, score in ((1, 0.6), (2, 0.7), (3, 0.9)):
        trial = f"t{number:04}"
        events += [
            {
                "event": "proposed", "time": 0, "trial": trial, "number": number, "values": {},
                "config": config, "seed": 1, "source": "random",
            },
            {"event": "started", "time": 0, "trial": trial, "attempt": 1, "worker": "w"},
            {
                "event": "reported", "time": 0, "trial": trial, "epoch": 1, "average": score,
                "scores": {"books": 1 - score}, "loss": 0, "losses": {}, "tokens_per_second": 1,
                "seconds": 1,
            },
        ]  # fmt: skip
    for trial in ("t0001", "t0002"):
        events.append(
            {"event": "finished", "time": 0, "trial": trial, "epochs": 1, "reason": "epochs"}
        )
    return StudyRecord(events=events)


def test_ended_trials_keep_what_leads_them_without_the_trials_in_training(
    tmp_path: Path, record: StudyRecord
) -> None:
    for trial in ("t0001", "t0002", "t0003"):
        for epoch in (1, 2):
            save(snapshot_path(tmp_path, trial, epoch))

    prune(tmp_path, record)

    # t0001 leads on books, t0002 would lead on average if t0003 were lost; t0003 still trains
    assert kept(tmp_path) == ["t0001-e1", "t0002-e1", "t0003-e1", "t0003-e2"]


def test_files_that_are_no_snapshots_of_this_study_are_left_alone(
    tmp_path: Path, record: StudyRecord
) -> None:
    save(tmp_path / "models" / "mine.safetensors")
    save(snapshot_path(tmp_path, "t9999", 1))

    assert prune(tmp_path, record) == []


def test_weights_are_kept_of_what_leads_under_the_study_s_own_objective(tmp_path: Path) -> None:
    keeper = SnapshotKeeper(
        tmp_path, "t0001", structure="stack_cls", leaders={}, maximised="worst_task"
    )
    keeper.offer(1, 0.7, {"books": 0.9, "dvd": 0.5}, save)

    led = keeper.offer(2, 0.65, {"books": 0.7, "dvd": 0.6}, save)

    assert set(led) == {"task:dvd", "worst_task", "structure:stack_cls"}
