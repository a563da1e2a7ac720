"""What the search spent: counted by hand."""

from typing import Any

import pytest

from search.config import SearchConfig
from search.report.html.budget import device_hours, facts, failures, said


def test_trials_epochs_and_shares(whole: Any) -> None:
    found = {fact.name: (fact.value, fact.remark) for fact in facts(whole.record(), SearchConfig())}

    assert found["trials"] == ("4", "of 40 asked for")
    assert found["stopped early"] == ("0", "0% of those that ended")
    assert found["epochs trained"] == ("3", "98% fewer than all to their end")  # of 4 x 30
    assert found["failed"] == ("1", "see below")


def test_runs_with_fresh_seeds_are_counted(confirmed_study: Any) -> None:
    found = {fact.name: fact for fact in facts(confirmed_study.record(), SearchConfig())}

    assert found["runs with fresh seeds"].value == "15"
    assert found["runs with fresh seeds"].remark.startswith("confirmation, ")


def test_time_that_trials_share_an_engine_counts_once(make_study: Any) -> None:
    study = make_study().propose("stack_cls", 1).propose("stack_cls", 2)  # both on worker "w"
    for trial, seconds in (("t0001", 3600), ("t0002", 1800)):
        study.now += seconds
        study.add("finished", trial=trial, epochs=1, reason="epochs")
    record = study.record()
    trials = list(record.trials.values())
    start, end = trials[0].started_at, trials[1].ended_at
    assert start is not None
    assert end is not None

    hours, unit = device_hours(record, SearchConfig(gpus_per_trial=0.5))

    assert hours == pytest.approx(0.5 * (end - start) / 3600)
    assert unit == "GPU-hours"
    assert device_hours(record, SearchConfig(cpus_per_trial=2))[1] == "CPU-core-hours"


def test_the_hours_of_the_confirmation_count(confirmed_study: Any) -> None:
    record = confirmed_study.record()
    runs = record.confirmation.runs
    with_runs, _ = device_hours(record, SearchConfig())

    runs.clear()

    assert with_runs > device_hours(record, SearchConfig())[0] > 0


def test_failures_of_one_reason_stand_together_with_a_traceback(make_study: Any) -> None:
    study = make_study()
    for at, reason in enumerate(["bad", "worse", "worse"], start=1):
        study.propose("stack_cls", at)
        study.add(
            "failed", trial=f"t{at:04d}", kind="error", reason=reason, traceback=f"in line {at}"
        )

    found = failures(study.record())

    assert [(f.reason, f.trials) for f in found] == [
        ("worse", ("t0002", "t0003")), ("bad", ("t0001",)),
    ]  # fmt: skip
    assert found[0].traceback == "in line 2"


def test_many_trials_are_not_all_named() -> None:
    assert said(("a", "b", "c"), most=2) == "a, b and 1 more"
    assert said(("a", "b")) == "a, b"
