"""The whole report: what must be in it, and that no study makes it fail."""

from collections.abc import Callable
from typing import Any

import pytest

from search.report.findings import Findings
from search.report.markdown import markdown

Row = Callable[[str, str], list[str]]
Write = Callable[[Any], str]
SECTIONS = [
    "## Tasks and structures",
    "## The best configuration of each task",
    "## Where sharing hurts",
    "## How the search went",
    "## The data",
    "## To do it again",
    "## To use the best model",
]


@pytest.fixture
def write(audit_json: dict[str, Any], environment_json: dict[str, Any]) -> Write:
    """Writes the report of a study."""

    def text(maker: Any) -> str:
        return markdown(Findings(maker.record()), audit=audit_json, environment=environment_json)

    return text


def section(text: str, title: str) -> str:
    return text.split(f"## {title}\n")[1].split("\n## ")[0]


def test_answer_comes_first_and_all_sections_in_order(whole: Any, write: Write) -> None:
    text = write(whole)

    assert text.splitlines()[0] == "# hand_made: how should 2 tasks share one Transformer?"
    assert text.splitlines()[2].startswith("**Best on average: `layerwise_implicit`")
    places = [text.index(title) for title in SECTIONS]
    assert places == sorted(places)
    assert "None" not in text
    assert "nan" not in text


def test_lines_are_at_most_100_columns_here(whole: Any, write: Write) -> None:
    assert max(len(line) for line in write(whole).splitlines()) <= 100


def test_names_cannot_break_tables_or_put_in_html(make_study: Any, write: Write) -> None:
    names = ("a|b", "<img src=x>")
    maker = make_study(names)
    maker.train("single_task", (0.8, 0.8)).train("stack_cls", (0.9, 0.9), 2)
    maker.test("structure:single_task", "t0001", (300, 300)).test("average", "t0002", (310, 310))
    maker.test("structure:stack_cls", "t0002", (310, 310)).test("task:a|b", "t0002", (310, 310))

    text = write(maker).split("## To use")[0]

    assert "<img" not in text.replace("\\<img", "")
    assert "a|b" not in text


def test_one_task_alone_has_a_report(make_study: Any, write: Write) -> None:
    maker = make_study(("books",)).train("stack_cls", (0.9,), 2)
    maker.test("average", "t0001", (300,)).test("task:books", "t0001", (300,))
    maker.test("structure:stack_cls", "t0001", (300,)).baseline("tfidf", (0.8,), (290,))

    text = write(maker)

    assert "which Transformer suits one task?" in text
    assert "1 task" not in text


@pytest.mark.parametrize("reason", ["interrupted", None])
def test_study_without_a_score_has_a_report(
    maker: Any, row: Row, reason: str | None, write: Write
) -> None:
    maker.propose("stack_cls", 2)
    if reason:
        maker.add("ended", reason=reason)
    maker.baseline("majority", (0.5, 0.5), (200, 200)).baseline("tfidf", (0.8, 0.8), (320, 320))

    text = write(maker)

    assert "No answer: no trial has a dev score" in text
    assert row(section(text, "Tasks and structures"), "books")[2:] == ["**80.0**", "50.0"]
    assert "## To use the best model" not in text


def test_empty_study_without_audit_and_environment_has_a_report(maker: Any) -> None:
    text = markdown(Findings(maker.record()), audit={}, environment={})

    assert "0 trials." in text
    assert "## The data" not in text
