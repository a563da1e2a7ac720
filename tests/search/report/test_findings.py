"""What was tested comes back from the journal, row by row."""

from typing import Any

import pytest

from search.report.findings import Findings, in_order


def test_models_and_baselines_come_back_with_their_rows(whole: Any) -> None:
    findings = Findings(whole.record())

    assert findings.average is not None
    assert findings.average.correct["books"].sum() == 310
    assert findings.average.unseen["books"].sum() == 270
    assert findings.average.structure == "layerwise_implicit"
    assert set(findings.baselines) == {"majority", "tfidf", "tfidf_pooled"}


def test_structures_are_in_the_order_of_the_table(whole: Any) -> None:
    assert list(Findings(whole.record()).structures) == [
        "single_task", "stack_cls", "layerwise_implicit",
    ]  # fmt: skip
    assert in_order(["zzz", "stack_cls", "aaa", "single_task"]) == [
        "single_task", "stack_cls", "aaa", "zzz",
    ]  # fmt: skip


def test_sharing_is_the_best_structure_but_single_task(whole: Any) -> None:
    sharing = Findings(whole.record()).sharing

    assert sharing is not None
    assert sharing.structure == "layerwise_implicit"


def test_comparison_is_on_the_same_rows(whole: Any) -> None:
    findings = Findings(whole.record())

    found = findings.compare(findings.models["average"], findings.baselines["tfidf"], ["books"])

    assert found.dev == pytest.approx(0.03)
    assert found.test is not None
    assert found.test.mean == pytest.approx(10 / 400)
    assert found.test.rows == 400
    assert found.unseen is not None
    assert found.unseen.rows == 360


def test_only_trials_with_a_score_count_as_tried(whole: Any) -> None:
    findings = Findings(whole.record())

    assert findings.n_scored == 3
    assert findings.n_tried("stack_cls") == 1


def test_empty_study_has_nothing(maker: Any) -> None:
    findings = Findings(maker.record())

    assert findings.average is findings.single_task is findings.sharing is findings.linear is None
    assert findings.seen == {}
