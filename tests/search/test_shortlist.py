"""The shortlist is made once of the trials there are, and says whether anything is left."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from confirmations import begun, confirmed

from search.record import FORMAT, StudyRecord
from search.shortlist import is_left, make_shortlist
from search.space import Space, parse_space

SPACE = """
name: tiny
search: {confirm: {seeds: 1, max_seeds: 1}}
sharing: {structure: {choice: [single_task, stack_cls]}}
"""
ROWS = {task: np.arange(20) < 15 for task in ("books", "films")}


@pytest.fixture
def space() -> Space:
    return parse_space(SPACE)


@pytest.fixture
def record(space: Space, tmp_path: Path) -> Iterator[StudyRecord]:
    """Two finished trials, of which the second is better."""
    record = StudyRecord.open(tmp_path / "journal.jsonl")
    record.append("study", format=FORMAT, name="tiny", seed=0, tasks=list(ROWS))
    for structure, score in (("single_task", 0.6), ("stack_cls", 0.8)):
        add_trial(record, space, structure, score)
    yield record
    record.close()


def add_trial(record: StudyRecord, space: Space, structure: str, score: float) -> None:
    number = len(record.trials) + 1
    trial, values = f"t{number:04}", {"sharing.structure": structure}
    config = space.configure(values).as_dict()
    record.append(
        "proposed", trial=trial, number=number, values=values, config=config, seed=number,
        source="random",
    )  # fmt: skip
    record.append("started", trial=trial, attempt=1, worker="w")
    record.append(
        "reported", trial=trial, epoch=1, average=score, scores=dict.fromkeys(ROWS, score),
        loss=1.0, losses=dict.fromkeys(ROWS, 1.0), tokens_per_second=1.0, seconds=2.0,
    )  # fmt: skip
    record.append("finished", trial=trial, epochs=1, reason="epochs")


def confirm_all(record: StudyRecord) -> None:
    for trial in record.confirmation.shortlist:
        record.append(**begun(trial, 1))
        record.append(**confirmed(trial, 1, ROWS, ROWS))


def test_the_list_has_the_best_first_and_single_task_training(record: StudyRecord) -> None:
    make_shortlist(record)

    listed = record.confirmation.shortlist
    assert list(listed) == ["t0002", "t0001"]
    assert "average" in listed["t0002"]
    assert "task:books" in listed["t0002"]
    assert "single_task" in listed["t0001"]
    assert record.confirmation.n_trials == 2


def test_the_list_is_made_once_of_the_same_trials_and_anew_of_more(
    record: StudyRecord, space: Space
) -> None:
    make_shortlist(record)
    before = record.confirmation.shortlist
    make_shortlist(record)
    assert record.confirmation.shortlist is before

    add_trial(record, space, "stack_cls", 0.9)
    make_shortlist(record)

    assert record.confirmation.n_trials == 3
    assert "average" in record.confirmation.shortlist["t0003"]


def test_something_is_left_until_all_runs_have_ended(record: StudyRecord, space: Space) -> None:
    assert is_left(space, record)
    make_shortlist(record)
    assert is_left(space, record)

    confirm_all(record)

    assert not is_left(space, record)


def test_nothing_is_left_without_seeds_or_without_time(record: StudyRecord) -> None:
    make_shortlist(record)

    assert not is_left(parse_space(SPACE, overrides=["confirm.seeds=0"]), record)
    assert not is_left(parse_space(SPACE, overrides=["confirm.minutes=0.0001"]), record)


def test_a_study_without_a_score_has_nothing_to_confirm(tmp_path: Path, space: Space) -> None:
    record = StudyRecord.open(tmp_path / "journal.jsonl")
    record.append("study", format=FORMAT, name="tiny", seed=0, tasks=list(ROWS))

    assert not is_left(space, record)
    make_shortlist(record)

    assert record.confirmation.shortlist == {}
    record.close()
