"""Mean against worst task: who is beaten on both."""

from typing import Any

import numpy as np

from search.report.html.figures import Looks
from search.report.html.front import front_figure, pareto


def test_points_that_another_beats_on_both_are_not_on_the_front() -> None:
    points = [(0.5, 0.9), (0.7, 0.7), (0.6, 0.6), (0.9, 0.1), (0.9, 0.2), (0.7, 0.7)]

    assert pareto(points) == [0, 1, 4]


def test_the_front_is_what_comparing_all_pairs_gives() -> None:
    points = [tuple(map(float, p)) for p in np.random.default_rng(0).normal(size=(200, 2))]

    beaten = {
        a for a, p in enumerate(points) for q in points if q[0] > p[0] and q[1] > p[1]
    }  # fmt: skip
    assert sorted(pareto(points)) == [at for at in range(200) if at not in beaten]


def test_the_worst_task_is_named_and_the_front_ringed(make_study: Any, valid: Any) -> None:
    study = make_study().train("stack_cls", (0.9, 0.5), 1).train("stack_cls", (0.7, 0.6), 2)
    study.train("stack_cls", (0.6, 0.5), 3)

    figure = front_figure(list(study.record().trials.values()), Looks(["stack_cls"]))

    assert figure is not None
    valid(figure)
    line, marks = figure.views[0].data
    assert list(zip(line["x"], line["y"], strict=True)) == [(65.0, 60.0), (70.0, 50.0)]
    assert marks["text"][0] == "t0001, worst: films"


def test_one_task_has_no_worst(make_study: Any) -> None:
    study = make_study(["books"]).train("stack_cls", (0.9,), 1)

    assert front_figure(list(study.record().trials.values()), Looks(["stack_cls"])) is None
