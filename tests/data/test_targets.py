"""Labels of every kind become numbers, and what has none is marked."""

import numpy as np
import pytest

from mtl_core.data.targets import (
    encode_targets,
    is_read,
    n_outputs,
    tags_of,
    unread_tag,
    value_scale,
)
from mtl_core.data.task import Split, Task
from mtl_core.errors import ConfigError


def make_task(kind: str, names: tuple[str, ...], *labels: str) -> Task:
    rows = Split(texts=("x",) * len(labels), labels=labels, source="train.tsv")
    return Task(name="t", kind=kind, labels=names, splits={"train": rows})


def targets(task: Task, starts: tuple[tuple[int, ...], ...] = ()) -> list[list[float]]:
    found = encode_targets(task, task.splits["train"], starts)
    return [row.tolist() for row in np.split(found.values, found.offsets[1:-1])]


def test_a_class_is_its_place_among_the_labels() -> None:
    task = make_task("classification", ("no", "yes"), "yes", "", "no")

    assert targets(task) == [[1.0], [-1.0], [0.0]]
    assert n_outputs(task.kind, task.labels) == 2


def test_values_are_standardised_by_train() -> None:
    task = make_task("regression", (), "1", "3", "", "5")

    found = targets(task)

    spread = np.std([1, 3, 5])
    wanted = [-2 / spread, 0, np.nan, 2 / spread]
    assert [row[0] for row in found] == pytest.approx(wanted, nan_ok=True)
    assert value_scale(task) == pytest.approx((3, spread))
    assert n_outputs(task.kind, task.labels) == 1


def test_values_that_are_all_alike_are_no_fault() -> None:
    assert targets(make_task("regression", (), "2", "2")) == [[0.0], [0.0]]


def test_several_labels_hold_or_do_not() -> None:
    task = make_task("multilabel", ("a", "b", "c"), "c|a", "|", "")

    assert targets(task) == [[1.0, 0.0, 1.0], [0.0] * 3, [-1.0] * 3]


def test_the_first_piece_of_a_word_has_its_tag() -> None:
    task = make_task("tagging", ("B-X", "O"), "O B-X B-NEW", "")

    found = targets(task, starts=((-1, 0, 1, -1, 2), (0,)))

    assert found == [[-1.0, 1.0, 0.0, -1.0, -1.0], [-1.0]]


def test_words_that_no_piece_begins_keep_their_tags_in_place() -> None:
    task = make_task("tagging", ("B-X", "I-X", "O"), "B-X I-X O O B-X", "B-X")

    found = encode_targets(task, task.splits["train"], starts=((-1, 0, 2), (-1,)))

    assert found.offsets.tolist() == [0, 6, 8]
    assert tags_of(found.values).tolist() == [-1, 0, 1, 2, 2, 0, -1, 0]
    assert is_read(found.values).tolist() == [True, True, False, True, False, False, True, False]


def test_a_word_that_is_not_read_counts_as_the_tag_that_is_no_guess() -> None:
    assert unread_tag(make_task("tagging", ("B-X", "O"), "B-X B-X O")) == "O"
    assert unread_tag(make_task("tagging", ("A", "N", "V"), "V N", "", "N A")) == "N"


@pytest.mark.parametrize(
    ("kind", "label", "starts", "match"),
    [
        ("classification", "maybe", (), "train.tsv: label 'maybe' does not occur in train of 't'"),
        ("multilabel", "a|maybe", (), "train.tsv: label 'maybe' does not occur in train"),
        ("tagging", "a", ((0, 1),), r"train.tsv: a text has more words than tags \(a\)"),
    ],
)
def test_labels_that_the_task_lacks_are_refused(
    kind: str, label: str, starts: tuple[tuple[int, ...], ...], match: str
) -> None:
    with pytest.raises(ConfigError, match=match):
        targets(make_task(kind, ("a", "b"), label), starts)
