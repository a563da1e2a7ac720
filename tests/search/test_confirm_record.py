"""Runs of a confirmation come back from their events, and events out of turn are refused."""

from typing import Any

import numpy as np
import pytest
from confirmations import begun, confirmed, failed, shortlisted

from mtl_core.errors import ConfigError
from mtl_core.training.config import TrialConfig
from search.record import StudyRecord

ROWS = {"books": np.array([True, True, True, False])}
CONFIG = TrialConfig.from_dict({"sharing": {"structure": "stack_cls"}}).as_dict()
START: list[dict[str, Any]] = [
    {"event": "study", "format": 1, "name": "s", "seed": 0, "tasks": ["books"]},
    {
        "event": "proposed", "trial": "t0001", "number": 1, "values": {}, "config": CONFIG,
        "seed": 1, "source": "random",
    },
]  # fmt: skip


def record_of(*events: dict[str, Any]) -> StudyRecord:
    return StudyRecord(
        None, [{"time": float(i), **e} for i, e in enumerate((*START, *events), start=1)]
    )


def test_a_run_is_what_its_events_say() -> None:
    record = record_of(
        shortlisted({"t0001": ["average"]}, trials=1),
        begun("t0001", 1, seed=9),
        confirmed("t0001", 1, ROWS, ROWS, epoch=2, seconds=4.0),
    )

    (run,) = record.confirmed
    assert (run.id, run.trial, run.number, run.seed) == ("t0001c1", "t0001", 1, 9)
    assert (run.epoch, run.epochs, run.seconds, run.dev_average) == (2, 3, 4.0, 0.75)
    assert record.confirmation.shortlist == {"t0001": ("average",)}
    assert record.confirmation.n_trials == 1


def test_a_run_that_begins_again_is_the_same_run() -> None:
    record = record_of(begun("t0001", 1), begun("t0001", 1, attempt=2))

    (run,) = record.confirmation.runs.values()
    assert (run.attempt, run.state) == (2, "running")
    assert record.confirmed == []


def test_a_failed_run_has_its_reason_and_is_not_confirmed() -> None:
    record = record_of(begun("t0001", 1), failed("t0001", 1))

    run = record.confirmation.runs["t0001c1"]
    assert run.failure is not None
    assert (run.state, run.failure.reason) == ("failed", "loss is NaN")
    assert record.confirmed == []


def test_the_search_does_not_see_the_runs() -> None:
    record = record_of(begun("t0001", 1), confirmed("t0001", 1, ROWS, ROWS))

    assert record.leaders() == {}
    assert record.trials["t0001"].reports == []
    assert len(record.unfinished()) == 1


def test_a_score_that_could_not_be_computed_counts_as_nothing() -> None:
    event = confirmed("t0001", 1, ROWS, ROWS)
    event["dev"] = {"books": None}

    (run,) = record_of(begun("t0001", 1), event).confirmed

    assert run.dev_average == 0.0


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        ([confirmed("t0001", 1, ROWS, ROWS)], "t0001c1 is confirmed but has not begun"),
        ([begun("t0002", 1)], "t0002 is confirming but was never proposed"),
        ([shortlisted({"t0003": []})], "t0003 is shortlisted but was never proposed"),
        (
            [begun("t0001", 1), failed("t0001", 1), failed("t0001", 1)],
            "t0001c1 is unconfirmed although it is failed",
        ),
        (
            [begun("t0001", 1), confirmed("t0001", 1, ROWS, ROWS), begun("t0001", 1, attempt=2)],
            "t0001c1 begins although it is confirmed",
        ),
    ],
)
def test_an_event_out_of_turn_is_refused(events: list[dict[str, Any]], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        record_of(*events)
