"""The whole report: what must be in it, and that no study makes it fail."""

from typing import Any

import pytest

from search.report.findings import Findings
from search.report.markdown import markdown

AUDIT = {
    "headline": "80 of 800 test rows occur in train.",
    "tasks": [
        {
            "undecodable": {"books.train": 3},
            "dropped": [{"file": "films.train", "line": 12, "message": "the text is empty"}],
            "cut_from_train": ["dev: the last 200 rows of train"],
        }
    ],
}
ENVIRONMENT = {
    "command": ["python", "-m", "search.run", "--space", "spaces/my space.yaml"],
    "versions": {"python": "3.11.9", "torch": "2.13.0"},
    "git_commit": "abc123",
    "git_dirty": True,
    "machine": {"cpus": 2, "memory_gib": 15.6, "gpus": []},
}
SECTIONS = [
    "## Tasks and structures",
    "## The best configuration of each task",
    "## Where sharing hurts",
    "## How the search went",
    "## The data",
    "## To do it again",
    "## To use the best model",
]


def write(maker: Any, **options: Any) -> str:
    return markdown(Findings(maker.record()), audit=AUDIT, environment=ENVIRONMENT, **options)


def section(text: str, title: str) -> str:
    return text.split(f"## {title}\n")[1].split("\n## ")[0]


def row(text: str, name: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {name} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_answer_comes_first_and_all_sections_in_order(whole: Any) -> None:
    text = write(whole)

    assert text.splitlines()[0] == "# hand_made: how should 2 tasks share one Transformer?"
    assert text.splitlines()[2].startswith("**Best on average: `layerwise_implicit`")
    places = [text.index(title) for title in SECTIONS]
    assert places == sorted(places)
    assert "None" not in text
    assert "nan" not in text


def test_table_has_structures_and_baselines_with_the_best_in_bold(whole: Any) -> None:
    plain, unseen = section(write(whole), "Tasks and structures").split("The same on the unseen")

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


def test_legend_names_configuration_and_number_of_trials(whole: Any) -> None:
    text = section(write(whole), "Tasks and structures")

    assert row(text, "L-I") == [
        "L-I", "`layerwise_implicit`", "1/4", "equal", "t0003, epoch 1", "85.5", "1",
    ]  # fmt: skip


def test_best_of_each_task_is_chosen_on_dev_and_shown_on_test(whole: Any) -> None:
    text = section(write(whole), "The best configuration of each task")

    assert row(text, "books") == [
        "books", "S-C", "3/4", "equal", "t0002, epoch 1", "82.0", "81.2", "79.2", "77.5",
    ]  # fmt: skip
    assert "the best of 3 trials" in text
    assert "- `t0003` (average, films, structure:layerwise_implicit)" in text
    assert "`training.learning_rate` 0.001" in text


def test_tasks_that_pay_for_sharing_are_named(whole: Any) -> None:
    text = section(write(whole), "Where sharing hurts")

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

    text = " ".join(section(write(maker), "Where sharing hurts").split())

    assert "is below it: books; the interval of each covers zero." in text


def test_search_is_accounted_for(whole: Any) -> None:
    text = " ".join(section(write(whole, n_configurations=40), "How the search went").split())

    assert "4 trials: 3 finished, 1 failed." in text
    assert "They are 4 of the space's 40 configurations." in text
    assert "a trial 2.0 s (median), 3 epochs in all" in text
    assert "all trials that were asked for are done" in text
    assert "- diverged: loss is NaN (t0004)" in text


def test_exhausted_space_is_said(whole: Any) -> None:
    text = section(write(whole, n_configurations=4), "How the search went")

    assert "They are all 4 configurations of the space." in " ".join(text.split())


def test_data_notes_come_from_the_audit(whole: Any) -> None:
    text = section(write(whole), "The data")

    assert "80 of 800 test rows occur in train." in text
    assert "- books.train: 3 lines not UTF-8, read as Latin-1" in text
    assert "- films.train, line 12: the text is empty" in text
    assert "- dev: the last 200 rows of train" in text


def test_command_versions_seed_and_data_are_there(whole: Any) -> None:
    text = section(write(whole), "To do it again")

    assert "python -m search.run --space 'spaces/my space.yaml'" in text
    assert "- data: `0123456789abcdef`" in text
    assert "- seed 3;" in text
    assert "torch 2.13.0" in text
    assert "`abc123` with changes that are not committed" in text
    assert "no GPU" in text


def test_models_can_be_loaded_as_the_report_says(whole: Any) -> None:
    text = section(write(whole), "To use the best model")

    assert 'mtl_core.load("best/average")' in text
    assert "branchpoint predict --model best/average --task books < texts.txt" in text


def test_lines_are_at_most_100_columns_here(whole: Any) -> None:
    assert max(len(line) for line in write(whole).splitlines()) <= 100


def test_names_cannot_break_tables_or_put_in_html(make_study: Any) -> None:
    names = ("a|b", "<img src=x>")
    maker = make_study(names)
    maker.train("single_task", (0.8, 0.8)).train("stack_cls", (0.9, 0.9), 2)
    maker.test("structure:single_task", "t0001", (300, 300)).test("average", "t0002", (310, 310))
    maker.test("structure:stack_cls", "t0002", (310, 310)).test("task:a|b", "t0002", (310, 310))

    text = write(maker).split("## To use")[0]

    assert "<img" not in text.replace("\\<img", "")
    assert "a|b" not in text


def test_one_task_alone_has_a_report(make_study: Any) -> None:
    maker = make_study(("books",)).train("stack_cls", (0.9,), 2)
    maker.test("average", "t0001", (300,)).test("task:books", "t0001", (300,))
    maker.test("structure:stack_cls", "t0001", (300,)).baseline("tfidf", (0.8,), (290,))

    text = write(maker)

    assert "how should 1 task share" in text
    assert "Means over 1 task" in text


@pytest.mark.parametrize("reason", ["interrupted", None])
def test_study_without_a_score_has_a_report(maker: Any, reason: str | None) -> None:
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


def test_without_duplicates_one_table_is_enough(maker: Any) -> None:
    maker.seen = 0
    maker.train("stack_cls", (0.9, 0.9), 2).test("average", "t0001", (300, 300))
    maker.test("structure:stack_cls", "t0001", (300, 300))

    text = section(write(maker), "Tasks and structures")

    assert "all of them are unseen" in text
    assert "The same on the unseen" not in text
    assert "on unseen rows" not in write(maker)
    assert "all of them unseen" in write(maker)


def test_task_with_no_unseen_row_has_dashes(maker: Any) -> None:
    maker.seen = maker.n_rows
    maker.train("stack_cls", (0.9, 0.9), 2).test("average", "t0001", (300, 300))
    maker.test("structure:stack_cls", "t0001", (300, 300)).test("task:books", "t0001", (300, 300))

    text = write(maker)

    assert row(text.split("The same on the unseen")[1], "books")[1:] == ["0", "–"]
