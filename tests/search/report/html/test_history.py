"""How the search went: every scored trial in its order, and a record that never falls."""

from typing import Any

from search.report.html.figures import Looks
from search.report.html.history import history_figure

LOOKS = Looks(["single_task", "stack_cls", "layerwise_implicit"])


def test_the_best_so_far_never_falls(many: Any, valid: Any) -> None:
    figure = history_figure(list(many.record().trials.values()), LOOKS)

    assert figure is not None
    valid(figure)
    record = figure.views[0].data[0]["y"]
    assert record == sorted(record)
    assert len(record) == 60


def test_before_the_first_report_there_is_no_history(make_study: Any) -> None:
    study = make_study().propose("stack_cls", 1)

    assert history_figure(list(study.record().trials.values()), LOOKS) is None
