"""What differs between studies: only what is not the same, each with all of their values."""

from typing import Any

import pytest

from search.report.findings import Findings
from search.report.side_by_side import (
    Side,
    common_tasks,
    differences_of_data,
    differences_of_spaces,
    differences_of_versions,
    less_the_first,
)
from search.space import parse_space


def side(study: Any, *, trials: int = 5, environment: Any = None, rows: int = 10) -> Side:
    splits = {split: {"rows": rows} for split in ("train", "dev", "test")}
    audit = {"tasks": [{"splits": splits}]}
    text = f"name: s\nsearch: {{trials: {trials}}}\n"
    record = study.record()
    return Side("s", Findings(record), parse_space(text), audit, environment or {})


def test_equal_studies_have_no_differences(make_study: Any) -> None:
    sides = [side(make_study()), side(make_study())]

    assert differences_of_spaces(sides) == {}
    assert differences_of_data(sides) == {}
    assert differences_of_versions(sides) == {}


def test_only_what_differs_is_named(make_study: Any) -> None:
    environment = {"versions": {"torch": "1"}, "git_commit": "a" * 40, "git_dirty": True}
    sides = [
        side(make_study(), trials=5),
        side(make_study(["toys"]), trials=9, environment=environment, rows=1500),
    ]

    assert differences_of_spaces(sides) == {"search.trials": ["5", "9"]}
    assert differences_of_data(sides) == {
        "tasks": ["books, films", "toys"], "tasks, number": ["2", "1"],
        **{f"{split} rows": ["10", "1,500"] for split in ("train", "dev", "test")},
    }  # fmt: skip
    assert differences_of_versions(sides) == {
        "torch": ["–", "1"], "commit": ["–", "aaaaaaaaaaaa (changed)"],
    }  # fmt: skip


def test_tasks_of_all_stand_in_the_order_of_the_first(make_study: Any) -> None:
    sides = [side(make_study(["c", "a", "b"])), side(make_study(["a", "b", "c", "d"]))]

    assert common_tasks(sides) == ["c", "a", "b"]
    assert common_tasks([*sides, side(make_study(["b"]))]) == ["b"]


def test_differences_are_those_of_the_same_rows(make_study: Any) -> None:
    better = make_study().train("stack_cls", (0.8, 0.8), 1).test("average", "t0001", (320, 320))
    worse = make_study().train("stack_cls", (0.7, 0.7), 1).test("average", "t0001", (280, 300))

    first, second = less_the_first([side(better), side(worse)], ["books", "films"])

    assert first is None
    assert second is not None
    assert second.mean == pytest.approx(-0.075)
    assert second.sign == -1


def test_what_was_not_tested_has_no_difference(make_study: Any) -> None:
    tested = make_study().train("stack_cls", (0.8, 0.8), 1).test("average", "t0001", (320, 320))

    assert less_the_first([side(tested), side(make_study())], ["books"]) == [None, None]
    assert less_the_first([side(make_study()), side(tested)], ["books"]) == [None, None]
