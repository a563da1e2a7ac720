"""Mean against worst task: who is beaten on both, as estimated and as seen."""

from typing import Any

from search.pareto import Option
from search.report.html.figures import Looks
from search.report.html.front import front_figure, options
from search.selection import select


def test_the_front_is_ringed_in_both_views(make_study: Any, valid: Any) -> None:
    study = make_study().train("stack_cls", (0.9, 0.5), 1).train("stack_cls", (0.7, 0.6), 2)
    record = study.train("stack_cls", (0.6, 0.5), 3).record()

    figure = front_figure(record, select(record, dev_rows={}), Looks(["stack_cls"]))

    assert figure is not None
    valid(figure)
    assert [view.label for view in figure.views] == ["estimates", "dev scores as seen"]
    line, marks = figure.views[1].data
    assert list(zip(line["x"], line["y"], strict=True)) == [(65.0, 60.0), (70.0, 50.0)]
    assert marks["text"] == ["t0001", "t0002", "t0003"]


def test_one_task_has_no_worst(make_study: Any) -> None:
    record = make_study(["books"]).train("stack_cls", (0.9,), 1).record()

    assert front_figure(record, select(record), Looks(["stack_cls"])) is None


def test_a_study_without_scores_has_no_front(make_study: Any) -> None:
    record = make_study().record()

    assert front_figure(record, select(record), Looks([])) is None


def test_options_stand_with_their_trials(make_study: Any) -> None:
    record = make_study().train("stack_cls", (0.9, 0.5), 1).record()

    (found,) = options(record, [Option("t0001", 0.7, 0.5, 1000, 2e6)])

    assert found.trial.id == "t0001"
    assert found.option.parameters == 1000
