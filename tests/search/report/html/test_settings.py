"""Slices and parallel coordinates: every trial is there, with the values it had."""

from typing import Any

import pytest

from search.report.html.figures import Looks
from search.report.html.settings import parallel_figure, slice_figures
from search.report.html.trials import columns, scored
from search.space import Space


@pytest.fixture
def found(many: Any, space: Space) -> Any:
    many.train("single_task", (0.55, 0.56), **{"training.learning_rate": 0.001})
    trials = scored(list(many.record().trials.values()))
    return columns(space, trials), trials, Looks(["single_task", "stack_cls", "layerwise_implicit"])


def test_every_trial_that_has_a_key_is_in_its_slice(found: Any, valid: Any) -> None:
    slices = {figure.title: figure for figure in slice_figures(*found)}

    counts = {key: sum(len(t["x"]) for t in f.views[0].data) for key, f in slices.items()}
    assert counts == {
        "sharing.structure": 61, "sharing.divergence_depth": 60, "training.learning_rate": 61,
    }  # fmt: skip
    assert slices["sharing.divergence_depth"].words == "1 of 61 trials do not have it."
    for figure in slices.values():
        valid(figure)


def test_trials_of_one_option_stand_apart_but_nearest_to_it(found: Any) -> None:
    slices = {figure.title: figure for figure in slice_figures(*found)}

    for at, trace in enumerate(slices["sharing.structure"].views[0].data):
        assert {round(x) for x in trace["x"]} == {at}
        assert len(set(trace["x"])) == len(trace["x"])


def test_parallel_coordinates_have_an_axis_for_each_key_and_the_score(
    found: Any, valid: Any
) -> None:
    figure = parallel_figure(*found[:2])

    assert figure is not None
    valid(figure)
    dimensions = figure.views[0].data[0]["dimensions"]
    assert [d["label"] for d in dimensions] == [
        "structure", "learning_rate", "divergence_depth", "dev mean",
    ]  # fmt: skip
    assert all(len(d["values"]) == 61 for d in dimensions)
    assert dimensions[2]["ticktext"][0] == "not set"
    assert dimensions[2]["values"][-1] == dimensions[2]["tickvals"][0]


def test_the_csv_of_parallel_coordinates_has_the_values_as_they_were_given(found: Any) -> None:
    figure = parallel_figure(*found[:2])

    assert figure is not None
    heads, *rows = figure.table
    assert heads[0] == "trial"
    assert dict(zip(heads, rows[-1], strict=True)) == {
        "trial": "t0061", "sharing.structure": "single_task", "sharing.divergence_depth": None,
        "training.learning_rate": "0.001", "dev_mean_percent": 55.5,
    }  # fmt: skip


def test_one_trial_is_no_pattern(found: Any) -> None:
    assert parallel_figure(found[0], found[1][:1]) is None
