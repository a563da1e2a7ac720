"""The best trial of each depth with its interval, and the others behind it."""

import math
from typing import Any

import pytest

from search.report.findings import Findings
from search.report.html.depth import depth_figure, interval_width
from search.report.html.figures import Looks

LOOKS = Looks(["single_task", "stack_cls", "layerwise_implicit"])


def test_each_depth_has_its_best_trial_on_the_line(make_study: Any, valid: Any) -> None:
    study = make_study().train("stack_cls", (0.7, 0.7), 1).train("stack_cls", (0.8, 0.8), 1)
    study.train("stack_cls", (0.75, 0.75), 3).train("single_task", (0.6, 0.6))

    figure = depth_figure(Findings(study.record()), LOOKS, {"books": 200, "films": 200})

    assert figure is not None
    valid(figure)
    rest, line, single = figure.views[0].data
    assert (line["customdata"], line["y"]) == ([1.0, 3.0], [80.0, 75.0])
    assert (rest["customdata"], rest["y"]) == ([1.0], [70.0])
    assert single["y"] == [60.0, 60.0]


def test_the_interval_is_that_of_a_mean_of_shares() -> None:
    wanted = 1.959964 * math.sqrt(0.8 * 0.2 / 200 + 0.5 * 0.5 / 100) / 2

    found = interval_width({"books": 0.8, "films": 0.5}, {"books": 200, "films": 100})

    assert found == pytest.approx(wanted, rel=1e-6)


def test_scores_that_are_no_shares_of_rows_have_no_interval(make_study: Any) -> None:
    study = make_study().train("stack_cls", (0.7, 0.7), 1)

    figure = depth_figure(Findings(study.record()), LOOKS, {})

    assert figure is not None
    assert "error_y" not in figure.views[0].data[0]
    assert "Bars" not in figure.words


def test_depths_by_task_stand_at_their_mean(make_study: Any) -> None:
    study = make_study().train("stack_cls", (0.7, 0.7), [1, 2])

    figure = depth_figure(Findings(study.record()), LOOKS, {})

    assert figure is not None
    assert figure.views[0].data[0]["customdata"] == [1.5]


def test_stopped_trials_are_hollow(make_study: Any) -> None:
    study = make_study().train("stack_cls", (0.8, 0.8), 1).train("stack_cls", (0.7, 0.7), 1)
    study.events[-1] = {**study.events[-1], "event": "stopped", "rung": 1}

    figure = depth_figure(Findings(study.record()), LOOKS, {})

    assert figure is not None
    assert figure.views[0].data[0]["marker"]["symbol"] == ["diamond-open"]


def test_a_study_that_shares_nothing_has_no_such_figure(make_study: Any) -> None:
    study = make_study().train("single_task", (0.8, 0.8))

    assert depth_figure(Findings(study.record()), LOOKS, {}) is None
