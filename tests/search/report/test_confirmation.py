"""What was confirmed comes back from the journal, and winners are chosen on dev."""

from typing import Any

import pytest
from confirmations import begun, failed

from search.report.confirmation import compared
from search.report.findings import Findings


def test_nothing_confirmed_leaves_the_leaders_of_the_search(whole: Any) -> None:
    findings = Findings(whole.record())

    assert findings.confirmation is None
    assert findings.models["average"].seeds == 1


def test_subjects_have_their_runs_roles_and_scores(confirmed_study: Any) -> None:
    found = Findings(confirmed_study.record()).confirmation

    assert found is not None
    assert [subject.trial.id for subject in found.subjects] == ["t0003", "t0001", "t0002"]
    first = found.subjects[0]
    assert first.roles[0] == "average"
    assert [run.id for run in first.runs] == [f"t0003c{n}" for n in range(1, 6)]
    assert first.test is not None
    assert (first.test.seeds, first.test.rows) == (5, 800)
    assert first.test.mean == pytest.approx((302 + 358) / 800)
    assert first.by_task["books"].mean == pytest.approx(302 / 400)
    assert first.unseen is not None
    assert first.unseen.rows == 720


def test_the_winner_on_average_is_best_on_dev_not_on_test(confirmed_study: Any) -> None:
    confirmed_study.train("stack_pooling", (0.7, 0.7), 2)
    confirmed_study.confirm("t0004", (399, 399), (399, 399), dev=(0.5, 0.5))

    found = Findings(confirmed_study.record()).confirmation

    assert found is not None
    assert found.best is not None
    assert found.best.trial.id == "t0003"


def test_the_best_of_a_task_is_whom_the_shortlist_has_for_it(confirmed_study: Any) -> None:
    findings = Findings(confirmed_study.record())

    assert findings.models["task:books"].trial is not None
    assert findings.models["task:books"].trial.id == "t0002"
    assert findings.confirmation is not None
    assert findings.confirmation.winner("task:plays") is None


def test_models_are_those_of_every_objective_that_was_confirmed(confirmed_study: Any) -> None:
    findings = Findings(confirmed_study.record())

    assert set(findings.models) == {
        "average", "equal_weights", "task:books", "task:films", "structure:single_task",
        "structure:stack_cls", "structure:layerwise_implicit",
    }  # fmt: skip
    assert findings.average is not None
    assert findings.average.seeds == 5
    assert findings.dev(findings.average) == pytest.approx(0.845)


def test_a_model_stands_for_all_its_runs_and_shows_that_which_is_best_on_dev(maker: Any) -> None:
    maker.train("stack_cls", (0.8, 0.8), 2).shortlist(t0001=["average"])
    maker.confirm("t0001", (300, 300), dev=(0.7, 0.7))
    run = [dict(event) for event in maker.events[-2:]]
    for event in run:
        event["run"], event["number"] = "t0001c2", 2
        maker.events.append(event)
    run[1]["dev"] = {"books": 0.9, "films": 0.9}

    findings = Findings(maker.record())

    assert findings.average is not None
    assert findings.confirmation is not None
    assert findings.confirmation.subjects[0].best_run.id == "t0001c2"
    assert findings.dev(findings.average) == pytest.approx(0.8)


def test_tasks_are_compared_after_holms_correction(confirmed_study: Any) -> None:
    findings = Findings(confirmed_study.record())
    assert findings.average is not None
    assert findings.single_task is not None

    found = compared(findings.average, findings.single_task, findings.tasks)

    assert {task: one.sign for task, one in found.by_task.items()} == {"books": -1, "films": 1}
    books = found.by_task["books"]
    assert books.p is not None
    assert books.adjusted is not None
    assert books.p <= books.adjusted <= 2 * books.p + 1e-12
    assert found.unseen_by_task["books"].rows == 360


def test_a_failed_run_is_kept_with_its_reason_and_counts_for_nothing(confirmed_study: Any) -> None:
    confirmed_study.add(**begun("t0003", 6)).add(**failed("t0003", 6))

    found = Findings(confirmed_study.record()).confirmation

    assert found is not None
    assert len(found.subjects[0].runs) == 5
    assert [failure.reason for failure in found.subjects[0].failures] == ["loss is NaN"]


def test_a_configuration_without_a_run_to_the_end_is_no_subject(maker: Any) -> None:
    maker.train("stack_cls", (0.8, 0.8), 2).shortlist(t0001=["average"])
    maker.add(**begun("t0001", 1)).add(**failed("t0001", 1))

    assert Findings(maker.record()).confirmation is None


def test_runs_of_a_former_shortlist_still_count(confirmed_study: Any) -> None:
    confirmed_study.shortlist(t0002=["average"])

    found = Findings(confirmed_study.record()).confirmation

    assert found is not None
    assert {subject.trial.id for subject in found.subjects} == {"t0001", "t0002", "t0003"}
