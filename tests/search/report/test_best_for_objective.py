"""A study that maximised something other than the mean says who is best at that."""

from typing import Any

import pytest

from search.report.best_for_objective import best_for_objective
from search.report.findings import Findings
from search.report.headline import answer
from search.report.marks import PLAIN


def test_of_the_mean_nothing_is_said(confirmed_study: Any) -> None:
    assert best_for_objective(Findings(confirmed_study.record()), PLAIN) == []


@pytest.mark.parametrize(
    ("objective", "role", "words"),
    [
        (
            "task:books",
            "task:books",
            "The search maximised the score of books: best at that is stack_cls, tasks part after "
            "3 of 4 layers, weighting equal, 81.8% on test, 80.0% on dev (t0002).",
        ),
        (
            "worst_task",
            "worst_task",
            "The search maximised the score of the worst task: best at that is stack_cls, tasks "
            "part after 3 of 4 layers, weighting equal, 81.8% on test (books), 80.0% on dev "
            "(t0002).",
        ),
        (
            {"books": 1, "films": 3},
            "weighted",
            "The search maximised a weighted mean of the tasks' scores: best at that is stack_cls, "
            "tasks part after 3 of 4 layers, weighting equal, 81.9% on test, 83.0% on dev (t0002).",
        ),
    ],
)
def test_who_is_best_at_what_was_asked_for_is_said_second(
    objective: Any, role: str, words: str, confirmed_study: Any
) -> None:
    confirmed_study.events[0]["objective"] = objective
    shortlist = next(e for e in confirmed_study.events if e["event"] == "shortlisted")
    for subject in shortlist["subjects"]:
        if subject["trial"] == "t0002":
            subject["roles"] = [role]

    assert answer(Findings(confirmed_study.record()), PLAIN)[1] == words


def test_without_a_confirmation_it_is_who_led_the_search(whole: Any) -> None:
    whole.events[0]["objective"] = "task:books"
    whole.test("task:books", "t0003", (330, 340))

    (found,) = best_for_objective(Findings(whole.record()), PLAIN)

    assert found.startswith(
        "The search maximised the score of books: the same configuration is best at that, 82.5% "
        "on test"
    )


def test_nothing_is_said_where_nobody_was_tested_for_it(maker: Any) -> None:
    maker.events[0]["objective"] = "worst_task"

    assert best_for_objective(Findings(maker.record()), PLAIN) == []
