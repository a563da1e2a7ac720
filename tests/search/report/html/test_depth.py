"""The best trial of each depth with its interval, and the others behind it."""

from typing import Any

import pytest

from search.report.findings import Findings
from search.report.html.depth import depth_figure
from search.report.html.figures import Figure, Looks
from search.selection import select

LOOKS = Looks(["single_task", "stack_cls", "layerwise_implicit"])


def figure_of(study: Any) -> Figure | None:
    record = study.record()
    found = select(record, dev_rows=dict.fromkeys(record.tasks, 200))
    return depth_figure(Findings(record), found, LOOKS)


def test_each_depth_has_its_best_trial_on_the_line(make_study: Any, valid: Any) -> None:
    study = make_study().train("stack_cls", (0.7, 0.7), 1).train("stack_cls", (0.8, 0.8), 1)
    study.train("stack_cls", (0.75, 0.75), 3).train("single_task", (0.6, 0.6))

    figure = figure_of(study)

    assert figure is not None
    valid(figure)
    rest, line, single = figure.views[0].data
    assert line["customdata"] == [1.0, 3.0]
    assert [text.split(",")[0] for text in line["text"]] == ["t0002", "t0003"]
    assert [text.split(",")[0] for text in rest["text"]] == ["t0001"]
    assert single["y"][0] == single["y"][1] < min(line["y"])


def test_points_are_the_pooled_estimates_with_their_intervals(make_study: Any) -> None:
    study = make_study().train("stack_cls", (0.7, 0.7), 1).train("stack_cls", (0.8, 0.8), 2)
    study.train("stack_cls", (0.75, 0.75), 3)
    wanted = select(study.record(), dev_rows={"books": 200, "films": 200}).estimates["average"]

    figure = figure_of(study)

    assert figure is not None
    line = figure.views[0].data[0]
    means = [wanted[trial].mean for trial in ("t0001", "t0002", "t0003")]
    assert line["y"] == pytest.approx([100 * mean for mean in means], abs=0.006)
    width = 100 * (wanted["t0002"].interval()[1] - wanted["t0002"].mean)
    assert line["error_y"]["array"][1] == pytest.approx(width, abs=0.006)
    assert 70 < line["y"][0] < line["y"][1] < 80  # drawn towards each other


def test_depths_by_task_stand_at_their_mean(make_study: Any) -> None:
    figure = figure_of(make_study().train("stack_cls", (0.7, 0.7), [1, 2]))

    assert figure is not None
    assert figure.views[0].data[0]["customdata"] == [1.5]


def test_stopped_trials_are_hollow(make_study: Any) -> None:
    study = make_study().train("stack_cls", (0.8, 0.8), 1).train("stack_cls", (0.7, 0.7), 1)
    study.events[-1] = {**study.events[-1], "event": "stopped", "rung": 1}

    figure = figure_of(study)

    assert figure is not None
    assert figure.views[0].data[0]["marker"]["symbol"] == ["diamond-open"]


def test_a_study_that_shares_nothing_has_no_such_figure(make_study: Any) -> None:
    assert figure_of(make_study().train("single_task", (0.8, 0.8))) is None
    assert figure_of(make_study()) is None
