"""The table of tasks and structures, worked by hand."""

from collections.abc import Callable
from typing import Any

from search.report.by_structure import structures_section
from search.report.findings import Findings

Row = Callable[[str, str], list[str]]


def write(maker: Any) -> str:
    return structures_section(Findings(maker.record()))


def test_table_has_structures_and_baselines_with_the_best_in_bold(whole: Any, row: Row) -> None:
    plain, unseen = write(whole).split("The same on the unseen")

    head = ["task", "rows", "single", "S-C", "L-I", "TF-IDF", "pooled", "majority"]
    assert row(plain, "task") == head
    assert row(plain, "books") == [
        "books",
        "400",
        "80.0",
        "**81.2**",
        "77.5",
        "75.0",
        "79.0",
        "50.0",
    ]
    assert row(plain, "**mean**")[1:5] == ["800", "79.8", "81.9", "**83.8**"]
    assert row(unseen, "books")[1:4] == ["360", "77.8", "**79.2**"]


def test_legend_names_configuration_and_number_of_trials(whole: Any, row: Row) -> None:
    text = write(whole)

    assert row(text, "L-I") == [
        "L-I", "`layerwise_implicit`", "1/4", "equal", "t0003, epoch 1", "85.5", "1",
    ]  # fmt: skip


def test_without_duplicates_one_table_is_enough(maker: Any) -> None:
    maker.seen = 0
    maker.train("stack_cls", (0.9, 0.9), 2).test("average", "t0001", (300, 300))
    maker.test("structure:stack_cls", "t0001", (300, 300))

    text = write(maker)

    assert "all of them are unseen" in text
    assert "The same on the unseen" not in text


def test_task_with_no_unseen_row_has_dashes(maker: Any, row: Row) -> None:
    maker.seen = maker.n_rows
    maker.train("stack_cls", (0.9, 0.9), 2).test("average", "t0001", (300, 300))
    maker.test("structure:stack_cls", "t0001", (300, 300)).test("task:books", "t0001", (300, 300))

    text = write(maker)

    assert row(text.split("The same on the unseen")[1], "books")[1:] == ["0", "–"]


def test_confirmed_scores_have_half_their_interval_beside_them(
    confirmed_study: Any, row: Row
) -> None:
    text = write(confirmed_study)

    cells = row(text.split("The same on the unseen")[0], "books")
    assert cells[2].startswith("**83.0 ±")
    assert cells[4].startswith("75.5 ±")
    assert row(text, "L-I")[4:] == ["t0003, 5 runs", "84.5", "1"]
    assert "half the 95% interval over seeds and rows" in " ".join(text.split())


def test_arms_of_other_keys_are_columns_of_their_own(confirmed_study: Any, row: Row) -> None:
    for event in confirmed_study.events:
        if event["event"] == "shortlisted":
            event["subjects"][0]["roles"] = ["average", "arm:n_layers 4"]
            event["subjects"][2]["roles"] = ["arm:n_layers 2"]

    head = row(write(confirmed_study), "task")

    assert head[:5] == ["task", "rows", "single", "n_layers 4", "n_layers 2"]


def test_an_arm_is_the_best_of_its_own_trials_alone(confirmed_study: Any, row: Row) -> None:
    arms = {"t0003": "layerwise_implicit, method equal", "t0002": "stack_cls, method equal"}
    confirmed_study.events[0]["arms"] = ["sharing.structure", "weighting.method"]
    for event in confirmed_study.events:
        if event["event"] == "proposed" and event["trial"] == "t0001":
            event["config"]["sharing"]["structure"] = "layerwise_implicit"
            event["config"]["weighting"]["method"] = "uncertainty"
        if event["event"] == "shortlisted":
            for subject in event["subjects"]:
                subject["roles"].append(f"arm:{arms.get(subject['trial'], 'L')}")

    assert row(write(confirmed_study), "L-I, method equal")[-1] == "1"
