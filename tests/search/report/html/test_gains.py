"""What sharing gains each task: differences on the same rows, sorted, by verdict."""

from typing import Any

from search.report.findings import Findings
from search.report.html.gains import gains_figure


def test_differences_are_sorted_and_sorted_out_by_verdict(whole: Any, valid: Any) -> None:
    figure = gains_figure(Findings(whole.record()))

    assert figure is not None
    valid(figure)
    by_verdict = {
        t["name"]: list(zip(t["text"], t["x"], strict=True)) for t in figure.views[0].data
    }
    assert by_verdict["better"] == [("films", 10.5)]
    assert by_verdict["worse"] == [("books", -2.5)]
    assert figure.views[0].layout["yaxis"]["ticktext"] == ["books", "films"]


def test_without_single_task_nothing_is_gained_or_lost(make_study: Any) -> None:
    study = make_study().train("stack_cls", (0.8, 0.8), 1).test("average", "t0001", (300, 300))

    assert gains_figure(Findings(study.record())) is None
