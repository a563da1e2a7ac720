"""How much n-grams tell of the classes, by hand."""

import math

import numpy as np
import pytest

from mtl_core.data.class_ratio import Occurrences, class_factors


def texts(label_set: tuple[str, ...] | None, classes: list[int], *ngrams: list[int]) -> Occurrences:
    offsets = np.cumsum([0, *map(len, ngrams)])
    flat = np.array([n for of_text in ngrams for n in of_text], np.int32)
    return Occurrences(label_set, np.array(classes), flat, offsets)


TWO = ("no", "yes")


def test_an_ngram_of_one_class_counts_more_than_one_of_both() -> None:
    found = class_factors([texts(TWO, [0, 0, 1, 1], [0, 2], [0, 2], [1, 2], [1, 2])], 3)

    # Of n-gram 0: class 0 has it (1 + 2) / 7 of the time, class 1 (1 + 0) / 7.
    assert found == pytest.approx([math.sqrt(math.log(3) + 0.05)] * 2 + [math.sqrt(0.05)])


def test_tasks_with_one_label_set_count_together() -> None:
    one = texts(TWO, [0, 1], [0], [1])
    other = texts(TWO, [0, 1], [1], [0])

    found = class_factors([one, other], 2)

    assert found == pytest.approx([math.sqrt(0.05)] * 2)


def test_an_ngram_counts_as_much_as_it_tells_of_any_label_set() -> None:
    plain = texts(TWO, [0, 1], [0], [0])
    telling = texts(("a", "b", "c"), [0, 1, 2, -1], [0], [1], [1], [1])

    found = class_factors([plain, telling], 2)

    # Of class "a": n-gram 0 (1 + 1) / 3 inside and (1 + 0) / 4 outside; the text without a class
    # counts nothing.
    assert found[0] == pytest.approx(math.sqrt(math.log((2 / 3) / (1 / 4)) + 0.05))


def test_tasks_without_classes_leave_their_ngrams_as_they_are() -> None:
    found = class_factors([texts(None, [], [0], [1])], 3)

    assert found == pytest.approx([1.0, 1.0, math.sqrt(0.05)])
