"""What affinities say of what a search found, and when they do not tell."""

from typing import Any

import pytest

from mtl_core.training.config import TrialConfig
from search.affinity.fit import fit, part_below_the_top
from search.record import StudyRecord

TASKS = ("a", "b", "c", "d", "e")
ONE = [list(TASKS)]
TWO = [["a", "c", "e"], ["b", "d"]]
ROWS = [200] * 5


def make_record(*trials: tuple[str, Any, tuple[float, ...]]) -> StudyRecord:
    """Return a study of trials with a structure, a depth and the dev scores of the tasks."""
    events: list[dict[str, Any]] = [{"event": "study", "format": 1, "tasks": list(TASKS)}]
    for number, (structure, depth, scores) in enumerate(trials, start=1):
        trial = {"trial": f"t{number:04d}"}
        sharing = {"structure": structure, "divergence_depth": depth}
        config = TrialConfig.from_dict({"sharing": sharing}).as_dict()
        by_task = dict(zip(TASKS, scores, strict=True))
        events += [
            {
                "event": "proposed", "number": number, "values": {}, "config": config,
                "seed": number, "source": "tpe", **trial,
            },
            {"event": "started", "attempt": 1, "worker": "w", **trial},
            {
                "event": "reported", "epoch": 1, "average": sum(scores) / 5, "scores": by_task,
                "loss": 0.5, "losses": dict.fromkeys(TASKS, 0.5), "tokens_per_second": 1.0,
                "seconds": 1.0, **trial,
            },
        ]  # fmt: skip
    return StudyRecord(None, [{"time": float(i), **event} for i, event in enumerate(events)])


def make_contents(received: tuple[float, ...] = (1, 2, 3, 4, 5), **groups: Any) -> dict[str, Any]:
    """Return contents in which the tasks receive so much, each from all others."""
    found = {"look_ahead": ONE, "gradient_cosine": ONE, **groups}
    return {
        "routes": {"look_ahead": {"matrix": [list(received)] * 5}},
        "groups": {route: {"groups": of} for route, of in found.items()},
    }


FLAT = (0.7,) * 5
BETTER = (0.9,) * 5
STUDY = (("single_task", None, FLAT), ("stack_cls", 4, FLAT), ("layerwise_implicit", 0, BETTER))


def test_a_better_plan_in_which_tasks_differ_fits_groups() -> None:
    found = fit(make_contents(look_ahead=TWO, gradient_cosine=TWO), make_record(*STUDY), ROWS)

    assert "Look-ahead and gradient cosine see groups (2, 2)" in found["words"]
    assert "0: as by chance) look-ahead and gradient cosine 1.00;" in found["words"]
    assert "+20.0 points on dev, standard error at most 2.2" in found["words"]
    assert "which fits tasks that fall into groups" in found["words"]
    assert found["groups_agree"] == [{"routes": ["look_ahead", "gradient_cosine"], "rand": 1.0}]
    assert found["depth"]["tellable"]


def test_a_better_plan_that_parts_at_the_top_does_not_fit_groups() -> None:
    record = make_record(("stack_cls", 4, BETTER), ("stack_cls", 1, FLAT))

    words = fit(make_contents(look_ahead=TWO), record, ROWS)["words"]

    assert "Look-ahead sees groups (2); the plan that is best on dev (stack_cls) treats" in words
    assert "tasks differ in their heads alone (-20.0 points" in words
    assert "which does not fit tasks that fall into groups" in words


def test_without_groups_nothing_is_said_of_them() -> None:
    words = fit(make_contents(), make_record(*STUDY), ROWS)["words"]

    assert "No route shows groups of tasks beyond the noise" in words
    assert "fits" not in words


def test_a_difference_within_two_standard_errors_is_not_tellable() -> None:
    record = make_record(("stack_cls", 4, FLAT), ("stack_cls", 1, (0.74,) * 5))

    found = fit(make_contents(look_ahead=TWO), record, ROWS)

    # sqrt(2 * 5 * 0.25 / 200) / 5 = 2.24 points, so 4 points are too few.
    assert found["depth"]["standard_error"] == pytest.approx(0.0223607, abs=1e-6)
    assert not found["depth"]["tellable"]
    assert (
        "Whether tasks should differ below the top is not tellable (+4.0 points" in found["words"]
    )


def test_depth_is_not_tellable_where_the_search_tried_one_way_alone() -> None:
    found = fit(make_contents(), make_record(("stack_cls", 4, FLAT)), ROWS)

    assert "the search has not tried both" in found["words"]


def test_gains_that_go_with_what_tasks_receive_are_said_with_their_p() -> None:
    record = make_record(
        ("single_task", None, FLAT), ("stack_cls", 4, (0.71, 0.72, 0.73, 0.74, 0.75))
    )

    found = fit(make_contents(), record, ROWS)

    assert found["gain"] == {"spearman": 1.0, "p": 0.0, "tasks": 5}
    assert (
        "Tasks that others' steps help more gain more by sharing (Spearman +1.00" in found["words"]
    )


def test_gains_that_go_with_nothing_are_not_tellable() -> None:
    record = make_record(
        ("single_task", None, FLAT), ("stack_cls", 4, (0.73, 0.71, 0.75, 0.72, 0.74))
    )

    words = fit(make_contents(), record, ROWS)["words"]

    assert "is not tellable (Spearman +0.30 over 5 tasks, p = 0.62)" in words


def test_without_single_task_trials_gains_are_not_tellable() -> None:
    found = fit(make_contents(), make_record(("stack_cls", 4, FLAT)), ROWS)

    assert found["gain"] is None
    assert "others' steps help them is not tellable here." in found["words"]


def test_depths_by_task_are_named() -> None:
    record = make_record(("stack_cls", [4, 1, 4, 1, 4], FLAT))

    words = fit(make_contents(look_ahead=TWO), record, ROWS)["words"]

    assert "parts tasks by depth (1: b, d; 4: a, c, e)" in words


@pytest.mark.parametrize(
    ("structure", "depth", "expected"),
    [
        ("single_task", None, None),
        ("stack_pooling", None, False),  # the published form: all four layers
        ("stack_cls", 4, False),
        ("stack_cls", 3, True),
        ("stack_cls", [4, 4, 4, 4, 2], True),
        ("layerwise_explicit", 3, True),
    ],
)
def test_what_parts_below_the_top(structure: str, depth: Any, expected: bool | None) -> None:
    record = make_record((structure, depth, FLAT))

    assert part_below_the_top(record.trials["t0001"]) is expected
