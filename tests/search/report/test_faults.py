"""Findings that do not hold together are warned of."""

from typing import Any

from search.report.faults import faults
from search.report.findings import Findings


def test_dev_scores_that_are_not_those_of_the_search_are_a_fault(whole: Any) -> None:
    event = next(e for e in whole.events if e["event"] == "tested" and e["model"] == "average")
    assert faults(Findings(whole.record())) == []
    event["dev"]["films"] = 0.5

    assert faults(Findings(whole.record())) == [
        "average: t0003, epoch 1: dev differs from what the search saw on films"
    ]


def test_leader_that_is_not_tested_yet_is_a_fault(whole: Any) -> None:
    whole.train("stack_pooling", (0.5, 0.99), 1)

    assert faults(Findings(whole.record())) == [
        "task:films: t0005, epoch 1 leads, but is untested",
        "structure:stack_pooling: t0005, epoch 1 leads, but is untested",
    ]


def test_dev_scores_that_are_not_those_reported_are_a_fault(confirmed_study: Any) -> None:
    assert faults(Findings(confirmed_study.record())) == []
    event = next(e for e in confirmed_study.events if e["event"] == "confirmed")
    event["reported"]["films"] = 0.5

    assert faults(Findings(confirmed_study.record())) == [
        "t0003c1 of t0003, epoch 1: dev differs from what it reported on films"
    ]


def test_empty_study_has_no_fault(maker: Any) -> None:
    assert faults(Findings(maker.record())) == []
