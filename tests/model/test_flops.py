"""Operations of a text: by hand, and as they must grow."""

import numpy as np
import pytest

from mtl_core.model.config import EncoderConfig
from mtl_core.model.flops import text_flops
from mtl_core.model.structures import layerwise_explicit, layerwise_implicit, stack_pooling

ENCODER = EncoderConfig(n_layers=1, d_model=4, d_word=3, n_heads=2, d_ff=5)


def test_a_text_of_two_words_in_one_layer_is_counted_by_hand() -> None:
    projection = 2 * 3 * 4 * 2  # two operations, 3 x 4, for two words
    keys_and_values = 2 * 4 * 8 * 2
    queries_output_and_inner = 2 * (4 * 4 + 4 * 4 + 4 * 5 + 5 * 4) * 2
    attention = 2 * 2 * (2 * 2) * 4  # scores and what they mix, for each pair of positions

    found = text_flops(stack_pooling(2, 1), ENCODER, 0, np.array([2]))

    expected = projection + keys_and_values + queries_output_and_inner + attention
    assert found.tolist() == [expected]


def test_the_tokens_of_all_tasks_cost_more_than_one_and_later_ones_less() -> None:
    encoder, lengths = EncoderConfig(n_layers=3, d_model=4, n_heads=2), np.array([10])

    one = text_flops(layerwise_implicit(8, 3), encoder, 0, lengths)
    all_tasks = text_flops(layerwise_explicit(8, 3), encoder, 0, lengths)
    later = text_flops(layerwise_explicit(8, 3, 2), encoder, 0, lengths)

    assert one < all_tasks
    assert later < all_tasks


def test_operations_grow_a_little_faster_than_the_text() -> None:
    short, long = text_flops(stack_pooling(2, 1), ENCODER, 0, np.array([50, 100]))

    assert 2 < long / short < 4
    assert short == pytest.approx(text_flops(stack_pooling(2, 1), ENCODER, 1, np.array([50]))[0])
