"""How the time is shared out, over all runs of a study."""

from typing import Any

import numpy as np
import pytest
from confirmations import begun, confirmed, shortlisted

from mtl_core.training.config import TrialConfig
from search.config import ConfirmConfig, SearchConfig
from search.racing import Wanted
from search.record import StudyRecord
from search.time_shares import (
    confirm_seconds_left,
    expected_seconds,
    has_time,
    search_seconds_left,
)

RUN = Wanted("t0001c1", "t0001", 1, 5)


def make_record(*events: tuple[float, dict[str, Any]]) -> StudyRecord:
    study = {"event": "study", "format": 1, "name": "s", "seed": 0, "tasks": ["books"]}
    return StudyRecord(None, [{"time": time, **e} for time, e in ((0.0, study), *events)])


def trained(seconds: float) -> list[tuple[float, dict[str, Any]]]:
    config = TrialConfig.from_dict({"training": {"epochs": 10}}).as_dict()
    events: list[dict[str, Any]] = [
        {
            "event": "proposed", "trial": "t0001", "number": 1, "values": {}, "config": config,
            "seed": 1, "source": "random",
        },
        {"event": "started", "trial": "t0001", "attempt": 1, "worker": "w"},
        *(
            {
                "event": "reported", "trial": "t0001", "epoch": epoch, "average": 0.5,
                "scores": {"books": 0.5}, "loss": 1.0, "losses": {"books": 1.0},
                "tokens_per_second": 1.0, "seconds": seconds,
            }
            for epoch in (1, 2)
        ),
    ]  # fmt: skip
    return [(30.0, event) for event in events]


def test_without_a_limit_each_takes_what_it_needs() -> None:
    record = make_record()

    assert search_seconds_left(SearchConfig(), record) is None
    assert confirm_seconds_left(SearchConfig(), record) is None


def test_the_search_leaves_the_confirmation_its_share() -> None:
    search = SearchConfig(minutes=10, confirm=ConfirmConfig(share=0.25))
    record = make_record((60.0, {"event": "noted", "text": ""}))

    assert search_seconds_left(search, record) == pytest.approx(450 - 60)
    assert confirm_seconds_left(search, record) == pytest.approx(600 - 60)


def test_a_search_without_confirmation_has_all_the_time() -> None:
    search = SearchConfig(minutes=10, confirm=ConfirmConfig(seeds=0))

    assert search_seconds_left(search, make_record()) == 600


def test_what_was_used_in_earlier_runs_counts_for_each_by_itself() -> None:
    search = SearchConfig(minutes=10, confirm=ConfirmConfig(share=0.5, minutes=2))
    record = make_record(
        (100.0, {"event": "searched", "reason": "trials"}),
        (130.0, {"event": "ended", "reason": "interrupted"}),
        (500.0, {"event": "continued"}),
        (510.0, {"event": "searched", "reason": "trials"}),
        (520.0, {"event": "noted", "text": ""}),
    )

    assert record.seconds_used == 150
    assert record.seconds_confirming == 40
    assert search_seconds_left(search, record) == 300 - 110
    assert confirm_seconds_left(search, record) == 120 - 40


def test_a_run_is_expected_to_take_as_long_as_the_epochs_of_its_trial() -> None:
    record = make_record(*trained(1.5))

    assert expected_seconds(RUN, record) == pytest.approx(15.0)
    assert has_time(RUN, record, 16.0)
    assert not has_time(RUN, record, 14.0)
    assert has_time(RUN, record, None)


def test_a_run_is_expected_to_take_as_long_as_those_before_it() -> None:
    rows = {"books": np.ones(4, bool)}
    done = confirmed("t0001", 1, rows, rows, seconds=7.0)
    events = [(40.0, e) for e in (shortlisted({"t0001": []}), begun("t0001", 1), done)]

    assert expected_seconds(RUN, make_record(*trained(1.5), *events)) == 7.0
