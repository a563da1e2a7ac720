"""One layer: what is read alone is what stands there among all, dropout, and weights' shapes."""

import pytest
import torch
from torch import Tensor

from mtl_core.model.config import EncoderConfig
from mtl_core.model.dropout import Noise, Span, drop
from mtl_core.model.layer import (
    LayerBanks,
    LayerWork,
    Reading,
    layer_shapes,
    run_layer,
)
from mtl_core.model.segment import Segment

CONFIG = EncoderConfig(n_layers=1, d_model=6, d_word=6, n_heads=2, d_ff=5)
TEXTS, T = 3, 4
CPU = torch.device("cpu")


@pytest.fixture
def banks() -> LayerBanks:
    return LayerBanks(*(torch.randn(1, *shape) for shape in layer_shapes(CONFIG).values()))


def make_work(banks: LayerBanks, reading: Reading | None = None) -> LayerWork:
    lengths = torch.tensor([4, 1, 3])
    bias = torch.zeros(TEXTS, T).masked_fill_(torch.arange(T) >= lengths[:, None], -torch.inf)
    return LayerWork(
        banks=banks,
        bounds=((0, TEXTS * T),),
        segments=[Segment(0, 0, TEXTS, T, bias)],
        spans=[Span(0, TEXTS * T, None, 0.0)],
        n_heads=2,
        dtype=torch.float32,
        reading=reading,
    )


@pytest.mark.parametrize("read", [[0, 0, 0], [3, 3, 3], [2, 0, 1]])
def test_what_is_read_alone_is_what_stands_there_among_all(
    read: list[int], banks: LayerBanks
) -> None:
    x, places = torch.randn(TEXTS * T, 6), torch.tensor(read) + T * torch.arange(TEXTS)
    reading = Reading(places=places, bounds=((0, TEXTS),), spans=[Span(0, TEXTS, None, 0.0)])

    alone = run_layer(x, make_work(banks, reading))

    everywhere = run_layer(x, make_work(banks))
    torch.testing.assert_close(alone, everywhere[places], atol=1e-5, rtol=1e-5)


def test_a_layer_of_the_published_sizes_has_the_published_parameters() -> None:
    shapes = layer_shapes(EncoderConfig()).values()

    assert sum(torch.Size(shape).numel() for shape in shapes) == 670_412


def test_each_span_is_dropped_by_its_own_noise() -> None:
    x = torch.randn(8, 5, requires_grad=True)
    spans = [Span(0, 3, None, 0.5), Span(3, 8, Noise(CPU, seed=1), 0.5)]

    out = drop(x, spans)
    out.sum().backward()

    assert torch.equal(out[:3], x[:3])
    dropped = out[3:] == 0
    assert 0 < int(dropped.sum()) < dropped.numel()
    assert torch.equal(out[3:], torch.where(dropped, 0.0, 2.0 * x[3:]))
    assert x.grad is not None
    assert torch.equal(x.grad[3:], torch.where(dropped, 0.0, 2.0))


def test_without_dropout_nothing_is_dropped() -> None:
    x = torch.randn(4, 5)

    assert drop(x, [Span(0, 4, None, 0.5)]) is x
    assert drop(x, [Span(0, 4, Noise(CPU, seed=1), 0.0)]) is x


def test_gradients_of_a_layer_are_those_of_finite_differences(banks: LayerBanks) -> None:
    double = LayerBanks(*(kind.double().requires_grad_() for kind in banks))
    x = torch.randn(TEXTS * T, 6, dtype=torch.float64, requires_grad=True)

    def output(x: Tensor, *kinds: Tensor) -> Tensor:
        work = make_work(LayerBanks(*kinds))
        segments = [s._replace(bias=s.bias.double()) for s in work.segments if s.bias is not None]
        values = {**vars(work), "dtype": torch.float64, "segments": segments}
        return run_layer(x, LayerWork(**values))

    assert torch.autograd.gradcheck(output, (x, *double))
