"""Where blocks stand, which of them have something in common, and how wide rows are padded."""

import numpy as np

from mtl_core.model.layout import Block, common_widths, cut_by_width, place, runs, text_blocks


def make_blocks() -> tuple[Block, ...]:
    return place(
        [
            Block(part=0, task=0, first_text=0, texts=2, n_words=5),
            Block(part=0, task=1, first_text=2, texts=3, n_words=4, n_tokens=1),
            Block(part=1, task=0, first_text=0, texts=1, n_words=7),
        ]
    )


def test_blocks_stand_one_after_the_other() -> None:
    assert [(block.start, block.end) for block in make_blocks()] == [(0, 10), (10, 25), (25, 32)]


def test_a_text_has_one_position_once_it_is_read() -> None:
    assert [(b.start, b.end) for b in text_blocks(make_blocks())] == [(0, 2), (2, 5), (5, 6)]


def test_neighbours_with_something_in_common_are_one_run() -> None:
    blocks = make_blocks()

    assert runs(blocks, lambda block: block.part) == [(0, 25, 0), (25, 32, 1)]
    assert runs(blocks, lambda block: block.width) == [(0, 25, 5), (25, 32, 7)]
    assert runs(blocks, lambda block: block.task) == [(0, 10, 0), (10, 25, 1), (25, 32, 0)]


def test_rows_are_padded_to_the_longest_that_is_not_much_longer() -> None:
    assert common_widths([20, 100, 90, 18, 30]) == (20, 100, 100, 20, 30)
    assert common_widths([1]) == (1,)


def test_a_row_is_cut_where_that_saves_enough() -> None:
    lengths = np.array([10, 11, 12, 13, 90, 95, 100, 100])

    assert cut_by_width(lengths, 100, d_model=300) == [(0, 4, 13), (4, 8, 100)]
    assert cut_by_width(lengths, 100, d_model=16) == [(0, 8, 100)]  # too narrow to gain anything
    assert cut_by_width(np.full(50, 100), 100, d_model=300) == [(0, 50, 100)]
    assert cut_by_width(np.array([7]), 7, d_model=300) == [(0, 1, 7)]


def test_the_parts_of_a_row_hold_each_text_once() -> None:
    lengths = np.sort(np.random.default_rng(0).integers(1, 400, 37))

    parts = cut_by_width(lengths, 400, d_model=300)

    assert len(parts) == 4
    assert [text for start, stop, _ in parts for text in range(start, stop)] == list(range(37))
    assert all(lengths[start:stop].max() == width for start, stop, width in parts)
