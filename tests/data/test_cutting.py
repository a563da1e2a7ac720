"""Rows are cut within their budget, evenly, and with little padding."""

import numpy as np
import pytest

from mtl_core.data.cutting import (
    by_length,
    cut_by_size,
    cut_by_words,
    cut_by_words_into,
    cut_evenly,
    shuffled,
)
from mtl_core.seeding import stream


def review_lengths(n: int) -> np.ndarray:
    """Lengths spread as those of reviews are: many short, a long tail cut at 400."""
    lengths = np.exp(4.5 + 0.8 * stream(0, "reviews").standard_normal(n))
    return np.clip(lengths, 1, 400).astype(np.int64)


def padding_share(lengths: np.ndarray, cuts: list[int]) -> float:
    padded = sum(len(row) * row.max() for row in np.split(lengths, cuts))
    return float(1 - lengths.sum() / padded)


def test_shuffled_is_a_permutation_that_depends_on_the_stream() -> None:
    first, again = shuffled(100, stream(0, "a")), shuffled(100, stream(0, "a"))
    other = shuffled(100, stream(0, "b"))

    assert sorted(first) == list(range(100))
    assert first.tolist() == again.tolist() != other.tolist()


def test_order_by_length_leaves_less_than_a_tenth_of_a_batch_of_50_to_padding() -> None:
    lengths = review_lengths(1400)
    cuts = list(range(50, 1400, 50))

    sorted_share = padding_share(lengths[by_length(lengths, stream(0, "order"))], cuts)

    assert padding_share(lengths, cuts) > 0.5
    assert sorted_share < 0.1


def test_order_by_length_shows_a_text_with_others_in_every_epoch() -> None:
    lengths = review_lengths(1400)

    first = by_length(lengths, stream(0, "epoch", 1))[600:650]
    second = by_length(lengths, stream(0, "epoch", 2))[600:650]

    assert len(set(first) & set(second)) < 45


def test_cut_by_size_has_one_partial_row_anywhere() -> None:
    partials = set()
    for seed in range(40):
        cuts, partial = cut_by_size(23, 5, stream(seed))
        sizes = [len(row) for row in np.split(np.arange(23), cuts)]
        assert sizes.pop(partial) == 3
        assert sizes == [5, 5, 5, 5]
        partials.add(partial)

    assert partials == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(("n", "size", "sizes"), [(4, 5, [4]), (5, 5, [5]), (10, 5, [5, 5])])
def test_cut_by_size_at_its_limits(n: int, size: int, sizes: list[int]) -> None:
    cuts, _ = cut_by_size(n, size, stream(0))

    assert [len(row) for row in np.split(np.arange(n), cuts)] == sizes


def test_cut_by_words_counts_padding() -> None:
    # 3 x 3 words fit 10, a fourth text makes it 12; the 20 is longer than the budget.
    assert cut_by_words(np.array([3, 2, 3, 1, 5, 20, 1]), budget=10) == [3, 5, 6]


def test_cut_by_words_into_keeps_the_budget_and_the_number_of_rows() -> None:
    lengths = np.sort(review_lengths(300))
    needed = len(cut_by_words(lengths, 2000)) + 1

    for n_rows in (needed, needed + 1, 2 * needed, 299, 300):
        rows = np.split(lengths, cut_by_words_into(lengths, 2000, n_rows))
        assert len(rows) == n_rows
        assert min(len(row) for row in rows) >= 1
        assert max(len(row) * row.max() for row in rows) <= 2000


def test_cut_by_words_into_spreads_the_words_evenly() -> None:
    rows = np.split(np.full(60, 4), cut_by_words_into(np.full(60, 4), budget=200, n_rows=6))

    assert [len(row) for row in rows] == [10] * 6


def test_cut_evenly_differs_by_one_at_most() -> None:
    sizes = [len(row) for row in np.split(np.arange(47), cut_evenly(47, 10, stream(0)))]

    assert sorted(sizes) == [4] * 3 + [5] * 7
