"""Which runs are wanted: as many for all, then more where it is open; all from the record."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from confirmations import begun, confirmed, failed, shortlisted

from mtl_core.training.config import TrialConfig
from search.config import ConfirmConfig
from search.racing import Racing
from search.record import StudyRecord

RACE = ConfirmConfig(seeds=2, max_seeds=4)


def rows(n_right: int, n: int = 200) -> dict[str, np.ndarray]:
    return {"books": np.arange(n) < n_right}


def make_events(trials: Sequence[str] = ("t0001", "t0002", "t0003")) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [
        {"event": "study", "format": 1, "name": "s", "seed": 0, "tasks": ["books"]}
    ]
    for number, trial in enumerate(trials, start=1):
        config = TrialConfig.from_dict({"sharing": {"structure": "stack_cls"}}).as_dict()
        events.append(
            {
                "event": "proposed", "trial": trial, "number": number, "values": {},
                "config": config, "seed": number, "source": "random",
            }
        )  # fmt: skip
    return [*events, shortlisted({trial: ["average"] for trial in trials})]


def ran(trial: str, number: int, n_right: int) -> list[dict[str, Any]]:
    return [begun(trial, number), confirmed(trial, number, rows(n_right), rows(n_right))]


def race(events: Sequence[dict[str, Any]], config: ConfirmConfig = RACE) -> Racing:
    return Racing(StudyRecord(None, [{"time": 1.0, **event} for event in events]), config, 0)


def ids(racing: Racing) -> list[str]:
    return [run.id for run in racing.wanted()]


def test_first_all_have_their_first_run_then_their_second() -> None:
    racing = race(make_events())

    assert ids(racing) == ["t0001c1", "t0002c1", "t0003c1", "t0001c2", "t0002c2", "t0003c2"]
    assert racing.least() == 6
    assert len({run.seed for run in racing.wanted()}) == 6


def test_runs_beyond_the_first_seeds_do_not_stand_for_those_that_a_trial_still_needs() -> None:
    events = make_events()
    for number in (1, 2, 3):
        events += ran("t0001", number, 170) + ran("t0002", number, 168)
    events.append(begun("t0002", 4))

    racing = race(events)

    assert ids(racing) == ["t0003c1", "t0003c2"]
    assert racing.least() == 3 + 4 + 2


def test_where_the_race_is_open_there_is_one_run_more_at_least() -> None:
    events = make_events(("t0001", "t0002"))
    for number in (1, 2):
        events += ran("t0001", number, 170) + ran("t0002", number, 168)

    assert race(events).least() == 4 + 1


def test_seeds_are_the_same_at_every_start() -> None:
    first, second = (race(make_events()).wanted() for _ in range(2))

    assert first == second


def test_a_run_of_a_dead_driver_is_begun_again_under_its_name_and_seed() -> None:
    events = [*make_events(), *ran("t0001", 1, 150), begun("t0002", 1, seed=77)]

    run = race(events).wanted()[0]

    assert (run.id, run.seed, run.attempt) == ("t0002c1", 77, 1)


def test_a_run_that_failed_is_not_run_again() -> None:
    events = [*make_events(), begun("t0001", 1), failed("t0001", 1)]

    assert "t0001c1" not in ids(race(events))


def test_only_what_is_not_seen_to_differ_from_the_best_on_dev_is_trained_more_often() -> None:
    events = make_events()
    for number in (1, 2):
        events += ran("t0001", number, 170) + ran("t0002", number, 168) + ran("t0003", number, 90)

    assert ids(race(events)) == ["t0001c3", "t0002c3"]


def test_the_race_ends_at_the_stated_maximum() -> None:
    events = make_events()
    for number in (1, 2, 3, 4):
        events += ran("t0001", number, 170) + ran("t0002", number, 168) + ran("t0003", number, 90)

    assert ids(race(events)) == []


def test_the_race_ends_where_nothing_is_open() -> None:
    events = make_events()
    for number in (1, 2):
        events += ran("t0001", number, 190) + ran("t0002", number, 110) + ran("t0003", number, 90)

    assert ids(race(events)) == []


def test_further_runs_wait_for_the_first_ones_of_all() -> None:
    events = make_events()
    for number in (1, 2):
        events += ran("t0001", number, 170) + ran("t0002", number, 168)
    events += ran("t0003", 1, 169)

    assert ids(race(events)) == ["t0003c2"]


def test_a_further_run_that_was_cut_off_goes_on_first() -> None:
    events = make_events(("t0001", "t0002"))
    for number in (1, 2):
        events += ran("t0001", number, 170) + ran("t0002", number, 168)
    events.append(begun("t0001", 3))

    assert ids(race(events)) == ["t0001c3"]


def test_test_rows_decide_nothing() -> None:
    events = make_events(("t0001", "t0002"))
    for number in (1, 2):
        for trial, dev, test in (("t0001", 190, 100), ("t0002", 90, 100)):
            events += [begun(trial, number), confirmed(trial, number, rows(dev), rows(test))]

    assert ids(race(events)) == []


def test_a_configuration_that_always_fails_leaves_the_race() -> None:
    events = make_events(("t0001", "t0002"))
    for number in (1, 2):
        events += [*ran("t0001", number, 150), begun("t0002", number), failed("t0002", number)]

    assert ids(race(events)) == []


def test_an_empty_shortlist_wants_nothing() -> None:
    assert ids(race(make_events(()))) == []
