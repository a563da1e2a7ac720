"""One layer: what is read alone is what stands there among all, and its weights' shapes."""

import pytest
import torch

from mtl_core.model.config import EncoderConfig
from mtl_core.model.dropout import Noise
from mtl_core.model.layer import LayerBank, drop, layer_shapes, linear, pick, run_layer

CONFIG = EncoderConfig(n_layers=1, d_model=6, d_word=6, n_heads=2, d_ff=5)


@pytest.fixture
def bank() -> LayerBank:
    return LayerBank(*(torch.randn(shape) for shape in layer_shapes(CONFIG).values()))


@pytest.mark.parametrize("read", [0, 3, torch.tensor([2, 0, 1])])
def test_what_is_read_alone_is_what_stands_there_among_all(
    read: int | torch.Tensor, bank: LayerBank
) -> None:
    x, mask = torch.randn(3, 4, 6), torch.tensor([4, 1, 3])[:, None] > torch.arange(4)

    alone = run_layer(x, bank, CONFIG, mask=mask[:, None, None], noise=None, read=read)

    everywhere = run_layer(x, bank, CONFIG, mask=mask[:, None, None], noise=None)
    places = [read] * 3 if isinstance(read, int) else read.tolist()
    expected = torch.stack([everywhere[text, place] for text, place in enumerate(places)])
    torch.testing.assert_close(alone.squeeze(1), expected, atol=1e-5, rtol=1e-5)


def test_a_layer_of_the_published_sizes_has_the_published_parameters() -> None:
    shapes = layer_shapes(EncoderConfig()).values()

    assert sum(torch.Size(shape).numel() for shape in shapes) == 670_412


def test_linear_acts_on_the_last_dimension() -> None:
    x, weight, bias = torch.randn(2, 3, 4), torch.randn(4, 5), torch.randn(5)

    torch.testing.assert_close(linear(x, weight, bias), x @ weight + bias)


def test_pick_takes_one_position_of_each_text() -> None:
    x = torch.arange(6).view(2, 3, 1)

    assert pick(x, 1).flatten().tolist() == [1, 4]
    assert pick(x, torch.tensor([2, 0])).flatten().tolist() == [2, 3]


def test_without_noise_nothing_is_dropped() -> None:
    x = torch.randn(4, 5)

    assert drop(x, 0.5, None) is x
    assert drop(x, 0.0, Noise(x.device)) is x
    assert (drop(x, 0.5, Noise(x.device)) == 0).any()
