"""The best against its rivals, on one axis that zero is on."""

from typing import Any

import pytest

from search.report.findings import Findings
from search.report.html.comparison import comparison


def test_rivals_stand_with_interval_and_verdict(whole: Any) -> None:
    found = comparison(Findings(whole.record()))

    assert found is not None
    assert [(line.name, line.verdict) for line in found.lines] == [
        ("single_task", "better"), ("TF-IDF per task", "better"),
        ("TF-IDF pooled", "better"), ("majority", "better"),
    ]  # fmt: skip
    assert found.lines[0].words.startswith("+4.0 (")
    assert found.lines[0].unseen


def test_places_run_along_the_axis(whole: Any) -> None:
    found = comparison(Findings(whole.record()))

    assert found is not None
    assert found.place(found.low / 100) == pytest.approx(0, abs=0.01)
    assert found.place(found.high / 100) == pytest.approx(100, abs=0.01)
    assert 0 < found.place(0) < found.place(found.lines[0].test.low) < 100


def test_before_anything_is_tested_there_is_no_comparison(make_study: Any) -> None:
    assert comparison(Findings(make_study().train("stack_cls", (0.5, 0.5), 1).record())) is None


def test_where_nothing_shared_is_best_the_best_that_shares_is_the_rival(make_study: Any) -> None:
    study = make_study().train("single_task", (0.9, 0.9)).train("stack_cls", (0.8, 0.8), 1)
    study.test("average", "t0001", (360, 360)).test("structure:single_task", "t0001", (360, 360))
    study.test("structure:stack_cls", "t0002", (300, 300))

    found = comparison(Findings(study.record()))

    assert found is not None
    assert found.lines[0].name == "best that shares (stack_cls)"
