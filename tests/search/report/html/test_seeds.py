"""What was trained anew: every run is there, and every configuration with its interval."""

from typing import Any

import pytest

from search.report.findings import Findings
from search.report.html.figures import Looks
from search.report.html.seeds import lines, seeds_figure

LOOKS = Looks(["single_task", "stack_cls", "layerwise_implicit"])


def test_the_best_on_dev_stands_first_with_its_roles(confirmed_study: Any) -> None:
    found = lines(Findings(confirmed_study.record()))

    assert [line.subject.trial.id for line in found] == ["t0003", "t0002", "t0001"]
    assert [line.roles for line in found] == [
        "the average, films, L-I, equal weights", "books, S-C", "single",
    ]  # fmt: skip
    assert found[0].difference is not None
    assert found[0].difference.mean == pytest.approx((302 + 358 - 332 - 316) / 800)
    assert found[2].difference is None


def test_every_run_is_drawn_and_each_mean_with_its_interval(
    confirmed_study: Any, valid: Any
) -> None:
    figure = seeds_figure(Findings(confirmed_study.record()), LOOKS)

    assert figure is not None
    valid(figure)
    runs, means = figure.views[0].data
    assert len(runs["x"]) == 15
    assert {round(y) for y in runs["y"]} == {0, 1, 2}
    assert means["x"][2] == pytest.approx(82.5)
    assert all(width > 0 for width in means["error_x"]["array"])
    assert figure.views[0].layout["yaxis"]["ticktext"][2] == "t0003 L-I"


def test_a_study_without_a_confirmation_has_none(whole: Any) -> None:
    findings = Findings(whole.record())

    assert lines(findings) == []
    assert seeds_figure(findings, LOOKS) is None
