"""What `branchpoint compare` prints, and which folders it refuses."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mtl_core.errors import ConfigError
from search.report.compare_studies import compare, labels
from search.report.findings import Findings
from search.report.intervals import scores
from search.report.wording import plus_minus


def compared(*folders: Path, width: int = 200) -> str:
    console = Console(file=StringIO(), width=width)
    compare(folders, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def row(text: str, name: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"│ {name} "))
    return [cell.strip() for cell in line.strip("│").split("│")]


@pytest.fixture
def other(make_study: Any) -> Any:
    """A study of the same tasks and rows that found less."""
    study = make_study().train("single_task", (0.7, 0.7)).train("stack_cls", (0.75, 0.72), 2)
    study.test("average", "t0002", (300, 300)).test("structure:single_task", "t0001", (280, 280))
    return study.test("structure:stack_cls", "t0002", (300, 300))


def test_results_stand_side_by_side(whole: Any, other: Any, make_folder: Any) -> None:
    text = compared(make_folder(whole, "one"), make_folder(other, "two"))

    assert row(text, "best on average")[1:] == [
        "layerwise_implicit, task tokens enter after 1 of 4 layers, weighting equal",
        "stack_cls, tasks part after 2 of 4 layers, weighting equal",
    ]  # fmt: skip
    assert row(text, "test (95% interval)")[2].startswith("75.0% (")
    assert row(text, "less single_task")[2].endswith("better")
    assert row(text, "trials")[1:] == ["4", "2"]


def test_of_the_same_rows_the_difference_has_an_interval(
    whole: Any, other: Any, make_folder: Any
) -> None:
    text = compared(make_folder(whole, "one"), make_folder(other, "two"))

    assert row(text, "films")[3].startswith("-15.0 (")
    assert row(text, "films")[3].endswith("worse")
    assert "The data: no difference." in text


def test_the_interval_of_a_task_is_that_of_its_own_report(
    make_study: Any, make_folder: Any
) -> None:
    study = make_study().train("stack_cls", (0.8, 0.8), 1).add("searched", reason="trials")
    study.shortlist(t0001=["average"]).confirm("t0001", (300, 360), (340, 361))
    findings = Findings(study.record())
    best = findings.average
    assert best is not None

    text = compared(make_folder(study, "one"), make_folder(study, "two"))

    for task, score in scores(best.test_runs, findings.tasks).items():
        assert row(text, task)[1:3] == [plus_minus(score)] * 2


def test_of_other_data_it_has_none_and_the_data_are_told_apart(
    whole: Any, other: Any, make_folder: Any
) -> None:
    other.events[0]["data_fingerprint"] = "feedbeef"

    text = compared(make_folder(whole, "one"), make_folder(other, "two"))

    assert row(text, "films")[3] == "-15.0"
    assert row(text, "hash")[1:] == ["0123456789abcdef", "feedbeef"]


def test_what_differs_in_the_spaces_and_versions_is_said_and_nothing_else(
    whole: Any, other: Any, make_folder: Any
) -> None:
    one, two = make_folder(whole, "one"), make_folder(other, "two")
    space = (two / "space.yaml").read_text()
    (two / "space.yaml").write_text(space.replace("[1e-4, 1e-2]", "[1e-4, 1e-3]"))
    (one / "environment.json").write_text(json.dumps({"versions": {"torch": "2", "ray": "3"}}))
    (two / "environment.json").write_text(json.dumps({"versions": {"torch": "9", "ray": "3"}}))

    text = compared(one, two)

    assert row(text, "training.learning_rate")[2] == "{float: [0.0001, 0.001], log: true}"
    assert row(text, "torch")[1:] == ["2", "9"]
    assert "│ ray " not in text
    assert "│ search.trials " not in text


def test_a_key_is_never_cut_off(whole: Any, other: Any, make_folder: Any) -> None:
    one, two = make_folder(whole, "one"), make_folder(other, "two")
    space = (two / "space.yaml").read_text()
    (two / "space.yaml").write_text(space.replace("[1e-4, 1e-2]", "[1e-4, 1e-3]"))

    assert "…" not in compared(one, two, width=50)


def test_studies_of_other_tasks_have_no_table_by_task(
    whole: Any, make_study: Any, make_folder: Any
) -> None:
    study = make_study(["toys"]).train("stack_cls", (0.7,), 1).test("average", "t0001", (200,))

    text = compared(make_folder(whole, "one"), make_folder(study, "two"))

    assert "No task of theirs is tested in all of them" in text
    assert row(text, "tasks")[1:] == ["books, films", "toys"]


def test_all_faults_are_said_at_once(whole: Any, make_folder: Any, tmp_path: Path) -> None:
    one = make_folder(whole, "one")

    with pytest.raises(ConfigError) as caught:
        compared(one, one, tmp_path / "nowhere")

    assert [fault.rpartition("/")[2] for fault in caught.value.faults] == [
        "one: is named twice; compare needs different studies",
        "nowhere: no study is here; a study's folder holds journal.jsonl",
    ]  # fmt: skip


def test_one_folder_is_too_few(whole: Any, make_folder: Any) -> None:
    with pytest.raises(ConfigError, match="found 1 folder, two or more would be right"):
        compared(make_folder(whole))


def test_labels_have_as_much_of_the_path_as_tells_them_apart(tmp_path: Path) -> None:
    folders = [tmp_path / "a" / "study", tmp_path / "b" / "study"]

    assert labels(folders) == ["a/study", "b/study"]
    assert labels([tmp_path / "a", tmp_path / "b"]) == ["a", "b"]
