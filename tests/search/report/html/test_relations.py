"""Affinity, dendrograms, attention: in the order of the groups, nothing said of what is absent."""

from typing import Any

import numpy as np
import pytest

from search.report.html.relations import (
    affinity_figures,
    agreements,
    attention_figure,
    suggested,
)

TASKS = ["books", "films", "music", "games", "toys", "news"]


@pytest.fixture
def found(affinity_of: Any) -> dict[str, Any]:
    return dict(affinity_of(TASKS))


def test_tasks_of_a_group_stand_beside_each_other(found: Any, valid: Any) -> None:
    affinity, tree = affinity_figures(found)

    valid(affinity)
    valid(tree)
    order = affinity.views[0].layout["xaxis"]["ticktext"]
    assert {frozenset(order[:3]), frozenset(order[3:])} == {
        frozenset(TASKS[::2]), frozenset(TASKS[1::2]),
    }  # fmt: skip
    assert tree.views[0].layout["yaxis"]["ticktext"] == order
    labels = [view.label for view in affinity.views]
    assert labels[:2] == ["look-ahead", "gradient cosine"]
    assert "gradient cosine, layer2" in labels


def test_numbers_stand_where_their_names_say(found: Any) -> None:
    matrix = np.array(found["routes"]["look_ahead"]["matrix"])

    trace = affinity_figures(found)[0].views[0].data[0]

    for names, values in zip(trace["customdata"], trace["z"], strict=True):
        for (row, column), value in zip(names, values, strict=True):
            wanted = matrix[TASKS.index(row), TASKS.index(column)]
            assert value is None if row == column else value == pytest.approx(wanted, abs=1e-4)


def test_zero_is_the_middle_of_the_colours_where_signs_differ(found: Any) -> None:
    figure = affinity_figures(found)[0]

    ahead, attention = figure.views[0].data[0], figure.views[-1].data[0]
    assert ahead["zmin"] == -ahead["zmax"]
    assert ahead["colorscale"] == "$diverging"
    assert (attention["zmin"], attention["colorscale"]) == (0, "$sequential-low")


def test_attention_shows_repeated_words_each_in_its_place(found: Any, valid: Any) -> None:
    figure = attention_figure(found)

    assert figure is not None
    valid(figure)
    view = figure.views[0]
    assert view.label == "1: books, label pos, said neg"
    assert view.layout["xaxis"]["ticktext"].count("a") == 1
    assert len(view.layout["xaxis"]["tickvals"]) == len(found["examples"][0]["words"])


def test_groups_and_agreement_are_said(found: Any) -> None:
    said = dict(suggested(found))

    assert set(said["look-ahead"].split(" | ")) == {"books, music, toys", "films, games, news"}
    assert agreements(found) == [("look-ahead and gradient cosine", "+0.83")]


def test_groups_that_are_no_more_than_noise_are_not_suggested(found: Any) -> None:
    found["groups"]["look_ahead"]["stands_out"] = False

    said = dict(suggested(found))

    assert said["look-ahead"] == "none stands out beyond the noise of the measurements"


def test_groups_of_too_few_tasks_are_said_not_to_be_tellable(found: Any) -> None:
    found["groups"]["look_ahead"] |= {"stands_out": False, "margin": None}

    said = dict(suggested(found))

    assert said["look-ahead"] == "not tellable from so few tasks or measurements"


def test_millionths_keep_their_digits(found: Any) -> None:
    matrix = [[1.23456e-6 * (1 + i + j) for j in range(6)] for i in range(6)]
    found["routes"]["look_ahead"]["matrix"] = matrix

    values = affinity_figures(found)[0].views[0].data[0]["z"]

    assert {float(f"{v:.4g}") for row in matrix for v in row} >= {v for r in values for v in r if v}


def test_of_many_long_examples_each_task_has_its_first(found: Any) -> None:
    (one,) = found["examples"]
    long = {**one, "words": ["w"] * 400, "weights": [[0.0] * 400] * 6}
    found["examples"] = [{**long, "task": task} for task in TASKS for _ in range(4)]

    figure = attention_figure(found)

    assert figure is not None
    assert [view.label.split(",")[0] for view in figure.views][:6] == [
        f"{at}: {task}" for at, task in enumerate(TASKS, start=1)
    ]
    assert len(figure.views) == 40_000 // (400 * 6)


def test_a_route_that_was_not_measured_is_left_out(found: Any) -> None:
    del found["routes"]["attention"], found["groups"]["attention"]
    found["examples"] = []

    labels = [view.label for view in affinity_figures(found)[0].views]

    assert "token attention" not in labels
    assert attention_figure(found) is None


def test_without_a_dendrogram_tasks_keep_their_order(found: Any) -> None:
    found["groups"] = {}

    (affinity,) = affinity_figures(found)

    assert affinity.views[0].layout["xaxis"]["ticktext"] == TASKS


def test_nothing_measured_is_nothing_drawn() -> None:
    assert affinity_figures({}) == []
    assert attention_figure({}) is None
    assert suggested({}) == agreements({}) == []
