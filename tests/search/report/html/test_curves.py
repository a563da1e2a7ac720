"""Learning curves of the arms and of all trials, and how the search went."""

from typing import Any

from search.report.by_arm import find_arms
from search.report.findings import Findings
from search.report.html.curves import all_curves_figure, curves_figure
from search.report.html.figures import Looks

LOOKS = Looks(["single_task", "stack_cls", "layerwise_implicit"])


def test_curves_can_be_seen_by_mean_by_task_and_as_loss(whole: Any, valid: Any) -> None:
    findings = Findings(whole.record())

    figure = curves_figure(find_arms(findings), findings.tasks, LOOKS)

    assert figure is not None
    valid(figure)
    assert [v.label for v in figure.views] == ["mean of the tasks", "books", "films", "train loss"]
    films = {
        trace["name"]: trace["y"] for trace in figure.views[2].data if "hoverinfo" not in trace
    }
    assert films == {"single (t0001)": [80.0], "S-C (t0002)": [84.0], "L-I (t0003)": [90.0]}


def test_the_chosen_epoch_is_ringed(whole: Any) -> None:
    findings = Findings(whole.record())

    figure = curves_figure(find_arms(findings), findings.tasks, LOOKS)

    assert figure is not None
    rings = [t for t in figure.views[0].data if t["marker"]["symbol"] == "circle-open"]
    assert [(ring["x"], ring["y"]) for ring in rings] == [
        ([1], [80.0]),
        ([1], [83.0]),
        ([1], [85.5]),
    ]


def test_all_trials_of_a_structure_are_one_line_with_gaps(many: Any, valid: Any) -> None:
    figure = all_curves_figure(list(many.record().trials.values()), LOOKS)

    assert figure is not None
    valid(figure)
    first = figure.views[0].data[0]
    assert first["x"].count(None) == 30
    assert len(first["x"]) == len(first["y"]) == len(first["text"]) == 60


def test_before_the_first_report_there_is_nothing_to_draw(make_study: Any) -> None:
    study = make_study().propose("stack_cls", 1)
    trials = list(study.record().trials.values())

    assert all_curves_figure(trials, LOOKS) is None
    assert curves_figure(find_arms(Findings(study.record())), ("books",), LOOKS) is None
