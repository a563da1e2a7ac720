"""The section on how tasks relate."""

from collections.abc import Callable
from typing import Any

import pytest

from search.report.affinity_words import affinity_section

Row = Callable[[str, str], list[str]]


@pytest.fixture
def affinity() -> dict[str, Any]:
    matrix = [[0.0012, -0.00004], [0.00000001, 0.002]]
    groups = {"groups": [["books"], ["<b>films</b>"]], "stands_out": True, "margin": 1.5}
    return {
        "tasks": ["books", "<b>films</b>"],
        "trial": "t0007",
        "structure": "stack_pooling",
        "borrowed": False,
        "epochs": 3,
        "steps": 8,
        "absent": {"attention": "the study has no trial of layerwise_explicit"},
        "routes": {
            "look_ahead": {"matrix": matrix},
            "gradient_cosine": {"matrix": [[1.0, 0.123], [0.123, 1.0]]},
        },
        "groups": {"look_ahead": groups, "gradient_cosine": {**groups, "stands_out": False}},
        "agreement": [{"routes": ["look_ahead", "gradient_cosine"], "spearman": 0.5, "pairs": 28}],
        "fit": {"words": "Words on <b>films</b>."},
    }


def test_matrices_are_tables_in_readable_units(affinity: dict[str, Any], row: Row) -> None:
    text = affinity_section(affinity)

    assert row(text, "books") == ["books", "1200", "-40"]
    assert row(text[text.index("Gradient cosine") :], "books") == ["books", "100", "12"]


def test_it_says_what_was_measured_and_what_was_not(affinity: dict[str, Any]) -> None:
    text = affinity_section(affinity)

    assert "Measured 8 times" in text
    assert "`t0007`, trained again for 3 epochs (`stack_pooling`)" in text
    assert "Token attention: left out, since the study has no trial of layerwise" in text
    assert "look-ahead and gradient cosine +0.50" in text


def test_groups_that_do_not_stand_out_are_not_named(affinity: dict[str, Any]) -> None:
    text = affinity_section(affinity)

    assert text.count("Groups: books;") == 1
    assert "Groups: none stands out beyond the noise of the measurements." in text
    assert "less what a task has in common with all others" in text
    assert "another training may show others" in text


def test_names_and_words_are_escaped(affinity: dict[str, Any]) -> None:
    text = affinity_section(affinity)

    assert "<b>" not in text.replace("\\<b\\>", "")
    assert "\\<b\\>films" in text


def test_settings_that_were_lent_are_said_to_be(affinity: dict[str, Any]) -> None:
    text = affinity_section({**affinity, "borrowed": True})

    assert "the settings of `t0007`, trained again for 3 epochs, with `stack_pooling`" in text


def test_many_tasks_have_no_table(affinity: dict[str, Any]) -> None:
    tasks = [f"task{number}" for number in range(17)]
    matrix = [[0.0] * 17] * 17
    routes = {route: {"matrix": matrix} for route in affinity["routes"]}

    text = affinity_section({**affinity, "tasks": tasks, "routes": routes})

    assert "The matrix of 17 tasks is in `affinity.json`." in text
    assert "| task16" not in text


def test_too_few_tasks_for_groups_are_said_to_be(affinity: dict[str, Any]) -> None:
    none = {"groups": [["books", "films"]], "stands_out": False, "margin": None}
    groups = dict.fromkeys(affinity["groups"], none)
    unknown = [{**affinity["agreement"][0], "spearman": None}]

    text = affinity_section({**affinity, "groups": groups, "agreement": unknown})

    assert text.count("Groups: not tellable from so few tasks or measurements.") == 2
    assert "Agreement" not in text
    assert "another training" not in text


def test_nothing_measured_is_no_section() -> None:
    assert affinity_section({}) == ""
