"""The best of each task, by estimates that pool, beside the one that looks best."""

from typing import Any

import pytest

from search.report.findings import Findings
from search.report.html.winners import best_of_tasks
from search.report.intervals import scores
from search.selection import select


def test_the_best_is_estimated_and_the_luckiest_stands_beside_it(make_study: Any) -> None:
    study = make_study()
    for at in range(12):
        study.train("stack_cls", (0.8 + 0.001 * at, 0.8 + 0.001 * at), at % 4)
    study.train("layerwise_implicit", (0.84, 0.70), 1)  # films says what its books are worth
    record = study.record()

    found = best_of_tasks(Findings(record), select(record, dev_rows={"books": 50, "films": 50}))

    books = found[0]
    assert [row.task for row in found] == ["books", "films"]
    assert books.raw.id == "t0013"
    assert books.raw_score == pytest.approx(0.84)
    assert books.estimate < 0.84
    assert 0 < books.probability < 1
    assert books.optimism > 0
    assert books.test is None


def test_a_trial_that_was_tested_has_its_score_there(whole: Any) -> None:
    findings = Findings(whole.record())

    found = {row.task: row for row in best_of_tasks(findings, select(findings.record))}

    assert found["films"].trial.id == "t0003"
    assert found["films"].test is not None
    assert found["films"].test.mean == pytest.approx(0.9)


def test_the_interval_is_that_of_report_md(confirmed_study: Any) -> None:
    findings = Findings(confirmed_study.record())

    tests = [row.test for row in best_of_tasks(findings, select(findings.record)) if row.test]

    of_all = [scores(model.test_runs, findings.tasks) for model in findings.models.values()]
    assert tests
    assert all(any(test in of.values() for of in of_all) for test in tests)


def test_before_the_first_score_there_is_no_best(make_study: Any) -> None:
    record = make_study().record()

    assert best_of_tasks(Findings(record), select(record)) == []
