"""What one position gathers without keys and values, against what it gathers among all."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from mtl_core.model.attention import attend
from mtl_core.model.attention_of_one import KeyValueBanks, attend_from_one
from mtl_core.model.dropout import Noise
from mtl_core.model.segment import Segment

H, WIDTH, S = 2, 6, 2
WIDTHS, TEXTS = (8, 3, 5), (4, 3, 2)
N, P = sum(TEXTS), sum(n * t for n, t in zip(TEXTS, WIDTHS, strict=True))
BOUNDS, TEXT_BOUNDS = ((0, 32), (32, P)), ((0, 4), (4, N))  # two runs
CPU = torch.device("cpu")


@dataclass
class Case:
    """Positions, the place that is read of each text, and a bank of weights for each run."""

    x: Tensor
    places: Tensor
    weights: list[Tensor]
    biases: list[Tensor]
    gates: list[Tensor]

    def segments(self, *, padded: bool, gated: bool, share: float = 0.0) -> list[Segment]:
        segments, start, first = [], 0, 0
        for number, (texts, width) in enumerate(zip(TEXTS, WIDTHS, strict=True)):
            lengths = torch.tensor([width, *[1 + width // 2] * (texts - 1)])
            bias = torch.zeros(texts, width, dtype=torch.float64)
            bias[torch.arange(width) >= lengths[:, None]] = -torch.inf
            segment = Segment(start, first, texts, width, bias if padded else None)
            if gated:
                hidden = torch.tensor([-torch.inf, 0.0], dtype=torch.float64).repeat(texts, 1)
                segment = segment._replace(gates=self.gates[number], hidden=hidden)
            if share:
                segment = segment._replace(noise=Noise(CPU, seed=number), share=share)
            segments.append(segment)
            start, first = start + texts * width, first + texts
        return segments

    def alone(self, segments: list[Segment]) -> Tensor:
        parts = [torch.split(weight, WIDTH, dim=1) for weight in self.weights]
        biases = [torch.split(bias, WIDTH) for bias in self.biases]
        read = torch.split(self.x[self.places], [end - start for start, end in TEXT_BOUNDS])
        query = torch.cat([r @ w[0] + b[0] for r, w, b in zip(read, parts, biases, strict=True)])
        banks = KeyValueBanks([w[1] for w in parts], [w[2] for w in parts], [b[2] for b in biases])
        return attend_from_one(query, self.x, banks, TEXT_BOUNDS, segments, H)

    def among_all(self, segments: list[Segment]) -> Tensor:
        rows = torch.split(self.x, [end - start for start, end in BOUNDS])
        qkv = torch.cat(
            [row @ w + b for row, w, b in zip(rows, self.weights, self.biases, strict=True)]
        )
        return attend(qkv, segments, H)[self.places]


@pytest.fixture
def case() -> Case:
    def leaf(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    starts = np.cumsum([0, *(n * t for n, t in zip(TEXTS, WIDTHS, strict=True))])[:-1]
    first = np.concatenate(
        [s + w * np.arange(n) for s, w, n in zip(starts, WIDTHS, TEXTS, strict=True)]
    )
    return Case(
        x=leaf(P, WIDTH),
        places=torch.from_numpy(first),
        weights=[leaf(WIDTH, 3 * WIDTH) for _ in BOUNDS],
        biases=[leaf(3 * WIDTH) for _ in BOUNDS],
        gates=[leaf(texts, S) for texts in TEXTS],
    )


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("gated", [True, False])
def test_one_position_and_its_gradients_are_those_among_all(
    padded: bool, gated: bool, case: Case
) -> None:
    segments = case.segments(padded=padded, gated=gated)
    weight = torch.randn(N, WIDTH, dtype=torch.float64)
    leaves = [case.x, *case.weights, *case.biases, *(case.gates if gated else [])]

    alone, among_all = case.alone(segments), case.among_all(segments)

    torch.testing.assert_close(alone, among_all, atol=1e-12, rtol=1e-9)
    found = torch.autograd.grad((alone * weight).sum(), leaves)
    wanted = torch.autograd.grad((among_all * weight).sum(), leaves)
    for gradient, expected in zip(found, wanted, strict=True):
        torch.testing.assert_close(gradient, expected, atol=1e-12, rtol=1e-9)


def test_another_place_than_the_first_may_be_read(case: Case) -> None:
    case.places += 2  # all texts have three
    segments = case.segments(padded=False, gated=False)

    torch.testing.assert_close(
        case.alone(segments), case.among_all(segments), atol=1e-12, rtol=1e-9
    )


def test_keys_that_the_kernel_would_leave_out_are_left_out(case: Case) -> None:
    told = case.segments(padded=True, gated=False)
    counted = [
        segment._replace(bias=None, valid=(segment.bias == 0).sum(1).numpy())
        for segment in told
        if segment.bias is not None
    ]

    assert torch.equal(case.alone(counted), case.alone(told))


def test_dropped_weights_are_right_on_average(case: Case) -> None:
    segments = case.segments(padded=True, gated=False, share=0.3)
    with torch.no_grad():
        draws = torch.stack([case.alone(segments) for _ in range(2000)])
        expected = case.alone(case.segments(padded=True, gated=False))
        first = case.alone(case.segments(padded=True, gated=False, share=0.3))

    assert torch.equal(first, draws[0])  # noise of the same seeds
    errors = (draws.mean(0) - expected) / (draws.std(0) / len(draws) ** 0.5)
    assert errors.abs().max() < 5


def test_in_bfloat16_it_is_the_same_to_a_percent(case: Case) -> None:
    low = Case(
        x=case.x.detach().bfloat16().requires_grad_(),
        places=case.places,
        weights=[weight.detach().bfloat16() for weight in case.weights],
        biases=[bias.detach().bfloat16() for bias in case.biases],
        gates=[],
    )

    out = low.alone(low.segments(padded=False, gated=False))
    expected = case.alone(case.segments(padded=False, gated=False))

    assert (out.double() - expected).norm() < 2e-2 * expected.norm()
