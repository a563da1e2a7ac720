"""Which words a bank of the embedding holds, and how their vectors start."""

import numpy as np

from mtl_core.model.plan import SharingPlan
from mtl_core.model.words import initial_words, word_ids_of_banks, word_rows

PLAN = SharingPlan(((0, 1, 0), (0, 0, 0)))
VOCABULARY = np.array(
    [[1, 1, 1, 1, 0, 0, 0], [1, 1, 1, 0, 1, 0, 0], [1, 1, 1, 0, 0, 1, 0]], dtype=bool
)


def test_a_bank_holds_the_words_of_its_tasks_and_the_special_ones() -> None:
    ids = word_ids_of_banks(PLAN, VOCABULARY)

    assert [of_bank.tolist() for of_bank in ids] == [[0, 1, 2, 3, 5], [0, 1, 2, 4]]


def test_a_word_that_a_bank_lacks_is_its_unknown() -> None:
    rows = word_rows(word_ids_of_banks(PLAN, VOCABULARY), 7)

    assert rows.tolist() == [[0, 1, 2, 3, 1, 4, 1], [5, 6, 7, 6, 8, 6, 6]]
    assert rows.dtype == np.int32


def test_where_all_words_are_known_those_that_a_bank_lacks_stand_after_all_banks() -> None:
    ids = word_ids_of_banks(PLAN, VOCABULARY, all_known=True)

    rows = word_rows(ids, 7, all_known=True)

    assert ids[2].tolist() == [3, 4, 5, 6]
    held = np.concatenate(ids)
    assert held[rows].tolist() == [list(range(7))] * 2
    assert rows.tolist() == [[0, 1, 2, 3, 10, 4, 12], [5, 6, 7, 9, 8, 11, 12]]


def test_given_vectors_are_taken_where_found_and_padding_is_zero() -> None:
    ids = word_ids_of_banks(PLAN, VOCABULARY)
    vectors = np.arange(7, dtype=np.float32)[:, None].repeat(2, axis=1) + 10
    found = np.array([False, False, False, True, True, False, True])
    streams = [np.random.default_rng(0), np.random.default_rng(1)]

    table = initial_words(ids, 2, streams, vectors, found)

    assert table[3].tolist() == [13, 13]
    assert table[8].tolist() == [14, 14]
    assert not table[[0, 5]].any()
    others = table[[1, 2, 4, 6, 7]]
    assert others.abs().max() <= 0.25
    assert len(others.unique()) == 10


def test_words_start_uniformly_up_to_a_quarter() -> None:
    ids = [np.arange(3000)]

    table = initial_words(ids, 20, [np.random.default_rng(0)], None, None)[1:]

    assert abs(table.mean().item()) < 2e-3
    assert abs(table.std().item() - 0.5 / 12**0.5) < 1e-3
    assert 0.249 < table.abs().max().item() <= 0.25
