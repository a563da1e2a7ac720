"""The audit as a table: also where it says little."""

from search.report.html.data import task_rows


def test_counts_of_each_task_are_taken_from_the_audit() -> None:
    split = {"rows": 600, "majority_share": 0.5, "unknown_share": 0.1, "cut_share": 0.0}
    task = {
        "name": "books", "kind": "classification", "of_pairs": True, "metric": "accuracy",
        "labels": ["neg", "pos"], "test_in_any_train": 7,
        "splits": {"train": {**split, "lengths": {"median": 14.0, "max": 15.0}}, "test": split},
    }  # fmt: skip

    (row,) = task_rows({"tasks": [task]})

    assert row["kind"] == "classification of pairs"
    assert row["rows"] == [600, None, 600]
    assert (row["labels"], row["median"], row["longest"], row["repeated"]) == (2, 14.0, 15.0, 7)


def test_an_audit_without_tasks_is_an_empty_table() -> None:
    assert task_rows({}) == []
