"""What affinities say of what a search found, and when they do not tell."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from mtl_core.training.config import TrialConfig
from search.affinity.fit import fit, part_below_the_top
from search.dev_rows import pack_dev
from search.record import StudyRecord

TASKS = ("a", "b", "c", "d", "e")
ONE = [list(TASKS)]
TWO = [["a", "c", "e"], ["b", "d"]]
ROWS = 200  # of each task, of which those that a model gets right stand first


def make_record(*trials: tuple[str, Any, tuple[float, ...]], rows: bool = True) -> StudyRecord:
    """Return a study of trials with a structure, a depth and the dev scores of the tasks.

    Args:
        rows: Whether the dev rows of the scores are kept.
    """
    events: list[dict[str, Any]] = [{"event": "study", "format": 1, "tasks": list(TASKS)}]
    for number, (structure, depth, scores) in enumerate(trials, start=1):
        trial = {"trial": f"t{number:04d}"}
        sharing = {"structure": structure, "divergence_depth": depth}
        config = TrialConfig.from_dict({"sharing": sharing}).as_dict()
        by_task = dict(zip(TASKS, scores, strict=True))
        kept = {"rows": pack_rows(by_task)} if rows else {}
        events += [
            {
                "event": "proposed", "number": number, "values": {}, "config": config,
                "seed": number, "source": "tpe", **trial,
            },
            {"event": "started", "attempt": 1, "worker": "w", **trial},
            {
                "event": "reported", "epoch": 1, "average": sum(scores) / 5, "scores": by_task,
                "loss": 0.5, "losses": dict.fromkeys(TASKS, 0.5), "tokens_per_second": 1.0,
                "seconds": 1.0, **kept, **trial,
            },
        ]  # fmt: skip
    return StudyRecord(None, [{"time": float(i), **event} for i, event in enumerate(events)])


def pack_rows(scores: Mapping[str, float]) -> str:
    return pack_dev({task: np.arange(ROWS) < round(ROWS * of) for task, of in scores.items()})


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
    found = fit(make_contents(look_ahead=TWO, gradient_cosine=TWO), make_record(*STUDY))

    assert "Look-ahead and gradient cosine see groups (2, 2)" in found["words"]
    assert "0: as by chance) look-ahead and gradient cosine 1.00;" in found["words"]
    assert "+20.0 points on dev, standard error 1.3" in found["words"]
    assert "which fits tasks that fall into groups" in found["words"]
    assert found["groups_agree"] == [{"routes": ["look_ahead", "gradient_cosine"], "rand": 1.0}]
    assert found["depth"]["tellable"]


def test_a_better_plan_that_parts_at_the_top_does_not_fit_groups() -> None:
    record = make_record(("stack_cls", 4, BETTER), ("stack_cls", 1, FLAT))

    words = fit(make_contents(look_ahead=TWO), record)["words"]

    assert (
        "Look-ahead sees groups (2); the plan that was best on dev in the search (stack_cls)"
        in words
    )
    assert "tasks differ in their heads alone (-20.0 points" in words
    assert "which does not fit tasks that fall into groups" in words


def test_without_groups_nothing_is_said_of_them() -> None:
    words = fit(make_contents(), make_record(*STUDY))["words"]

    assert "No route shows groups of tasks beyond the noise" in words
    assert "fits" not in words


def test_a_difference_within_two_standard_errors_is_not_tellable() -> None:
    record = make_record(("stack_cls", 4, FLAT), ("stack_cls", 1, (0.71, 0.7, 0.7, 0.7, 0.7)))

    found = fit(make_contents(look_ahead=TWO), record)

    # Of one task, two rows of 200 differ: a variance of 0.01 * 0.99 * 200 / 199.
    error = (0.01 * 0.99 / 199) ** 0.5 / 5
    assert found["depth"]["standard_error"] == pytest.approx(error, abs=1e-6)
    assert not found["depth"]["tellable"]
    assert (
        "Whether tasks should differ below the top is not tellable (+0.2 points on dev, standard "
        "error 0.1)" in found["words"]
    )


def test_rows_that_both_get_right_or_wrong_are_no_noise() -> None:
    record = make_record(("stack_cls", 4, FLAT), ("stack_cls", 1, (0.74,) * 5))

    found = fit(make_contents(), record)["depth"]

    assert found["standard_error"] == pytest.approx((0.04 * 0.96 / 199 / 5) ** 0.5, abs=1e-6)
    assert found["tellable"]


def test_a_difference_of_rows_that_were_not_kept_is_not_tellable() -> None:
    record = make_record(("stack_cls", 4, FLAT), ("stack_cls", 1, BETTER), rows=False)

    found = fit(make_contents(), record)

    assert "is not tellable (+20.0 points on dev, whose rows were not kept)" in found["words"]


def test_depth_is_not_tellable_where_the_search_tried_one_way_alone() -> None:
    found = fit(make_contents(), make_record(("stack_cls", 4, FLAT)))

    assert "the search has not tried both" in found["words"]


def test_gains_that_go_with_what_tasks_receive_are_said_with_their_p() -> None:
    record = make_record(
        ("single_task", None, FLAT), ("stack_cls", 4, (0.71, 0.72, 0.73, 0.74, 0.75))
    )

    found = fit(make_contents(), record)

    assert found["gain"] == {"spearman": 1.0, "p": 0.0167, "tasks": 5}  # 2 of 120 orders
    assert (
        "Tasks that others' steps help more gain more by sharing (Spearman +1.00" in found["words"]
    )


def test_gains_that_go_with_nothing_are_not_tellable() -> None:
    record = make_record(
        ("single_task", None, FLAT), ("stack_cls", 4, (0.73, 0.71, 0.75, 0.72, 0.74))
    )

    words = fit(make_contents(), record)["words"]

    assert "is not tellable (Spearman +0.30 over 5 tasks, p = 0.68)" in words


def test_four_tasks_in_one_order_are_no_proof() -> None:
    unknown = float("nan")  # the fifth has no score without sharing
    record = make_record(
        ("single_task", None, (0.7, 0.7, 0.7, 0.7, unknown)),
        ("stack_cls", 4, (0.71, 0.72, 0.73, 0.74, 0.75)),
        rows=False,
    )

    found = fit(make_contents(), record)

    assert found["gain"] == {"spearman": 1.0, "p": 0.0833, "tasks": 4}  # 2 of 24 orders
    assert "help them is not tellable (Spearman +1.00 over 4 tasks, p = 0.08)" in found["words"]


def test_many_tasks_go_by_student_s_t(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.affinity.fit._ALL_ORDERS", 4)
    record = make_record(
        ("single_task", None, FLAT), ("stack_cls", 4, (0.73, 0.71, 0.75, 0.72, 0.74))
    )

    found = fit(make_contents(), record)

    assert found["gain"] == {"spearman": 0.3, "p": 0.6238, "tasks": 5}


def test_without_single_task_trials_gains_are_not_tellable() -> None:
    found = fit(make_contents(), make_record(("stack_cls", 4, FLAT)))

    assert found["gain"] is None
    assert "others' steps help them is not tellable here." in found["words"]


def test_depths_by_task_are_named() -> None:
    record = make_record(("stack_cls", [4, 1, 4, 1, 4], FLAT))

    words = fit(make_contents(look_ahead=TWO), record)["words"]

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
