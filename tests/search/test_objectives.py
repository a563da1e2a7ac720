"""What may be maximised: values by hand, names, and messages."""

import math

import numpy as np
import pytest

from search.objectives import all_objectives, objective_faults, objective_of

TASKS = ("books", "dvd", "toys")
SCORES = {"books": 0.9, "dvd": 0.6, "toys": 0.75}


@pytest.mark.parametrize(
    ("spec", "name", "value"),
    [
        ("mean", "average", 0.75),
        ("worst_task", "worst_task", 0.6),
        ("task:toys", "task:toys", 0.75),
        ({"books": 3, "dvd": 1}, "weighted", 0.825),
    ],
)
def test_the_value_is_that_of_the_scores_that_count(
    spec: str | dict[str, float], name: str, value: float
) -> None:
    objective = objective_of(spec, TASKS)

    assert objective.name == name
    assert objective.of_scores(SCORES) == pytest.approx(value)
    assert objective.of(np.array([[0.9, 0.6, 0.75]] * 2)) == pytest.approx([value] * 2)


def test_only_a_score_that_counts_can_be_missed() -> None:
    without_toys = {**SCORES, "toys": math.nan}

    assert objective_of({"books": 1, "dvd": 1}, TASKS).of_scores(without_toys) == 0.75
    assert math.isnan(objective_of("mean", TASKS).of_scores(without_toys))
    assert math.isnan(objective_of("worst_task", TASKS).of_scores({"books": 0.9, "dvd": 0.6}))


def test_a_study_judges_by_its_own_objective_first_then_by_all_others_once() -> None:
    found = all_objectives(objective_of("task:dvd", TASKS), TASKS)

    assert list(found) == ["task:dvd", "average", "worst_task", "task:books", "task:toys"]


def test_of_fewer_tasks_those_that_count_must_be_left() -> None:
    known = np.array([True, True, False])

    assert objective_of("task:dvd", TASKS).needs_only(known)
    assert objective_of("task:dvd", TASKS).only(known).of(np.array([0.1, 0.2])) == 0.2
    assert not objective_of("mean", TASKS).needs_only(known)
    assert not objective_of("worst_task", TASKS).needs_only(known)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("worst", "found 'worst', did you mean 'worst_task'?"),
        ("task:book", "found no task 'book', did you mean 'books'?"),
        ({"books": 1, "films": 2}, "found no task 'films'"),
        ({"books": 0.0}, "found no weight above 0"),
        ({}, "found no weight above 0"),
    ],
)
def test_a_fault_says_what_was_found_and_what_would_be_right(
    spec: str | dict[str, float], message: str
) -> None:
    assert any(message in fault for fault in objective_faults(spec, TASKS))


def test_tasks_are_looked_at_when_they_are_known() -> None:
    assert not list(objective_faults("task:anything"))
    assert not list(objective_faults({"anything": 1.0}))
    assert not list(objective_faults("mean", TASKS))
