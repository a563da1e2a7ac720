"""The arms with scores, intervals and marks: on test, over seeds, or so far on dev."""

from typing import Any

import pytest

from search.report.by_arm import find_arms
from search.report.findings import Findings
from search.report.intervals import scores


def test_arms_stand_in_the_order_of_the_table_then_the_baselines(whole: Any) -> None:
    found = find_arms(Findings(whole.record()))

    assert found.split == "test"
    assert [arm.head for arm in found.all] == [
        "single", "S-C", "L-I", "TF-IDF", "pooled", "majority",
    ]  # fmt: skip
    assert [arm.n_tried for arm in found.all] == [1, 1, 1, 0, 0, 0]
    assert found.all[3].full_name == "TF-IDF logistic regression per task"


def test_the_best_of_a_row_is_marked_and_what_is_not_seen_to_differ(whole: Any) -> None:
    found = {arm.head: arm for arm in find_arms(Findings(whole.record())).all}

    books = {head: arm.cells["books"].mark for head, arm in found.items()}
    assert books["S-C"] == "best"  # 325 of 400 right; its rows nest, so each further row counts
    assert books["majority"] == ""
    assert found["L-I"].cells["films"].mark == "best"
    assert found["L-I"].mean.mark == "best"


def test_few_rows_tell_nothing_apart(make_study: Any) -> None:
    study = make_study(n_rows=10, seen=0).train("single_task", (0.5, 0.5))
    study.train("stack_cls", (0.6, 0.6), 1)
    study.test("structure:single_task", "t0001", (5, 5)).test(
        "structure:stack_cls", "t0002", (6, 6)
    )

    single, stack = find_arms(Findings(study.record())).all

    assert (single.mean.mark, stack.mean.mark) == ("level", "best")


def test_scores_have_intervals_within_0_and_1(whole: Any) -> None:
    for arm in find_arms(Findings(whole.record())).all:
        for cell in (*arm.cells.values(), arm.mean):
            assert cell.low is not None
            assert cell.high is not None
            assert cell.score is not None
            assert 0 <= cell.low < cell.score < cell.high <= 1


def test_the_interval_of_a_task_is_that_of_report_md(confirmed_study: Any) -> None:
    findings = Findings(confirmed_study.record())

    for arm in find_arms(findings).all:
        tested = findings.arms.get(arm.name) or findings.baselines[arm.name]
        for task, score in scores(tested.test_runs, findings.tasks).items():
            cell = arm.cells[task]
            assert (cell.score, cell.low, cell.high) == (score.mean, score.low, score.high)


def test_unseen_rows_are_scored_by_themselves(whole: Any) -> None:
    found = {arm.head: arm for arm in find_arms(Findings(whole.record()), unseen=True).all}

    assert found["single"].cells["books"].score == pytest.approx((320 - 40) / 360)


def test_confirmed_arms_are_the_mean_over_their_runs(confirmed_study: Any) -> None:
    found = {arm.head: arm for arm in find_arms(Findings(confirmed_study.record())).all}

    assert found["L-I"].n_runs == 5
    assert found["L-I"].searched_epoch == 1  # its runs have others
    assert found["L-I"].cells["books"].score == pytest.approx(302 / 400)
    assert found["TF-IDF"].n_runs == 0


def test_before_the_test_there_are_dev_scores_of_what_leads(make_study: Any) -> None:
    study = make_study().train("stack_cls", (0.7, 0.9), 1).train("single_task", (0.8, 0.6))
    study.train("stack_cls", (0.7, 0.8), 2)

    found = find_arms(Findings(study.record()))

    assert found.split == "dev"
    single, stack = found.all
    assert (stack.cells["films"].score, stack.cells["films"].mark) == (0.9, "best")
    assert (single.cells["books"].mark, single.mean.mark) == ("best", "")
    assert (stack.n_tried, stack.mean.low) == (2, None)


def test_before_the_first_score_there_are_no_arms(make_study: Any) -> None:
    assert not find_arms(Findings(make_study().record()))
