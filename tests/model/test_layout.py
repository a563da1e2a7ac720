"""Where blocks stand, which of them have something in common, and how wide rows are padded."""

from mtl_core.model.layout import Block, common_widths, place, runs, text_blocks


def make_blocks() -> tuple[Block, ...]:
    return place(
        [
            Block(part=0, row=0, task=0, first_text=0, texts=2, n_words=5),
            Block(part=0, row=1, task=1, first_text=2, texts=3, n_words=4, n_tokens=1),
            Block(part=1, row=0, task=0, first_text=0, texts=1, n_words=7),
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
