"""The best of each task, and who pays for the average."""

from collections.abc import Callable
from typing import Any

from search.report.by_task import tasks_section, transfer_section
from search.report.findings import Findings

Row = Callable[[str, str], list[str]]


def test_best_of_each_task_is_chosen_on_dev_and_shown_on_test(whole: Any, row: Row) -> None:
    text = tasks_section(Findings(whole.record()))

    assert row(text, "books") == [
        "books", "S-C", "3/4", "equal", "t0002, epoch 1", "82.0", "81.2", "79.2", "77.5",
    ]  # fmt: skip
    assert "the best of 3 trials" in text
    assert "- `t0003` (the average, films, L-I)" in text
    assert "`training.learning_rate` 0.001" in text


def test_tasks_that_pay_for_sharing_are_named(whole: Any, row: Row) -> None:
    text = transfer_section(Findings(whole.record()))

    assert (
        "On test 1 of 2 tasks is below it: books; with an interval that leaves zero out: books."
        in (" ".join(text.split()))
    )
    assert row(text, "books")[2].startswith("-2.5 (")
    assert row(text, "books")[3] == "worse"


def test_task_that_may_pay_is_named_as_uncertain(maker: Any) -> None:
    maker.train("single_task", (0.8, 0.8)).train("stack_cls", (0.9, 0.9), 2)
    maker.test("structure:single_task", "t0001", (300, 300))
    maker.test("structure:stack_cls", "t0002", (299, 340)).test("average", "t0002", (299, 340))

    text = " ".join(transfer_section(Findings(maker.record())).split())

    assert "is below it: books; the interval of each covers zero." in text


def test_confirmed_tasks_have_intervals_and_are_held_against_single_task(
    confirmed_study: Any, row: Row
) -> None:
    text = tasks_section(Findings(confirmed_study.record()))

    cells = row(text, "books")
    assert cells[:6] == ["books", "S-C", "3/4", "equal", "t0002, 5 runs", "80.0"]
    assert cells[6].startswith("81.8 ±")
    assert cells[7] == "75.5"
    assert cells[8].startswith("-1.2 (")
    assert row(text, "films")[9] == "better"
    assert "Holm's correction over 2 tasks" in " ".join(text.split())


def test_confirmed_transfer_names_who_pays_with_corrected_p_values(
    confirmed_study: Any, row: Row
) -> None:
    text = transfer_section(Findings(confirmed_study.record()))

    assert "(t0003, 5 runs) less the best `single_task` (t0001, 5 runs)" in " ".join(text.split())
    assert "it hurts books -7.5 (" in text
    assert row(text, "books")[3:5] == ["worse", "< 0.001"]
    assert text.index("| books") < text.index("| films")
