"""All that was trained anew is in the table, with what it was for and what failed."""

from collections.abc import Callable
from typing import Any

from confirmations import begun, failed

from search.report.by_seed import confirmation_section, roles_in_words
from search.report.findings import Findings

Row = Callable[[str, str], list[str]]


def write(maker: Any) -> str:
    return confirmation_section(Findings(maker.record()))


def test_a_study_without_confirmation_has_no_such_section(whole: Any) -> None:
    assert write(whole) == ""


def test_each_configuration_has_its_runs_scores_and_difference(
    confirmed_study: Any, row: Row
) -> None:
    text = write(confirmed_study)

    cells = row(text, "t0003")
    assert cells[:8] == [
        "t0003", "L-I", "1/4", "equal", "the average, films, L-I, equal weights", "5", "85.5",
        "84.5",
    ]  # fmt: skip
    assert cells[8].startswith("82.5 ±")
    assert row(text, "t0001")[4:6] == ["single", "5"]
    assert row(text, "t0001")[9:] == ["–", ""]
    assert "3 configurations, from scratch with fresh seeds: 15 runs in all" in text
    assert text.index("| t0003") < text.index("| t0002") < text.index("| t0001")


def test_that_some_were_trained_more_often_is_explained(maker: Any) -> None:
    maker.train("single_task", (0.8, 0.8)).train("stack_cls", (0.8, 0.8), 2)
    maker.shortlist(t0001=["single_task"], t0002=["average"])
    maker.confirm("t0001", (300, 300), (301, 300)).confirm("t0002", *[(310, 310)] * 3)

    assert "trained more often" in write(maker)


def test_time_that_ran_out_is_said(confirmed_study: Any) -> None:
    confirmed_study.events[-3]["confirmation"] = "minutes"

    assert "time ran out before all runs were done" in write(confirmed_study)


def test_failed_runs_are_listed_with_their_reason(confirmed_study: Any) -> None:
    confirmed_study.add(**begun("t0003", 6)).add(**failed("t0003", 6, "loss is | NaN"))

    assert "Failed runs, which are not run again: t0003c6 (diverged: loss is \\| NaN)." in (
        write(confirmed_study)
    )


def test_arms_are_named_as_their_columns_are() -> None:
    roles = ["average", "arm:stack_pooling, n_layers 4", "single_task", "structure:single_task"]

    assert roles_in_words(roles) == ["the average", "S-P, n_layers 4", "single"]
