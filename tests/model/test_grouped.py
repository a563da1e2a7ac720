"""Products and norms of runs against one plain product or norm for each run."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.model import grouped
from mtl_core.model.grouped import grouped_linear, grouped_norm, stacked_linear, stacked_outer

K, OUT = 10, 7
BOUNDS = ((0, 4), (4, 5), (5, 12))
P = 12


@pytest.fixture
def x() -> Tensor:
    return torch.randn(P, K, dtype=torch.float64, requires_grad=True)


def make(*shape: int, runs: int = len(BOUNDS)) -> Tensor:
    return torch.randn(runs, *shape, dtype=torch.float64, requires_grad=True)


def assert_same_gradients(found: Tensor, wanted: Tensor, leaves: list[Tensor]) -> None:
    torch.testing.assert_close(found, wanted)
    weight = torch.randn_like(found)
    ours, theirs = (torch.autograd.grad((y * weight).sum(), leaves) for y in (found, wanted))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("as_one", [True, False])
@pytest.mark.parametrize("runs", [1, 3])
def test_each_run_meets_its_own_weights(
    x: Tensor, runs: int, as_one: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouped, "as_one", lambda *_: as_one)
    bounds = BOUNDS if runs == 3 else ((0, P),)
    weights, biases = make(K, OUT, runs=runs), make(OUT, runs=runs)

    found = grouped_linear(x, weights, biases, bounds)

    parts = zip(bounds, weights, biases, strict=True)
    wanted = torch.cat([x[start:end] @ weight + bias for (start, end), weight, bias in parts])
    assert_same_gradients(found, wanted, [x, weights, biases])


@pytest.mark.parametrize("as_one", [True, False])
@pytest.mark.parametrize("runs", [1, 3])
def test_each_run_is_normed_by_its_own_weights(
    x: Tensor, runs: int, as_one: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouped, "as_one", lambda *_: as_one)
    bounds = BOUNDS if runs == 3 else ((0, P),)
    weights, biases = make(K, runs=runs), make(K, runs=runs)

    found = grouped_norm(x, weights, biases, bounds, torch.float64)

    parts = zip(bounds, weights, biases, strict=True)
    wanted = torch.cat([F.layer_norm(x[start:end], (K,), w, b) for (start, end), w, b in parts])
    assert_same_gradients(found, wanted, [x, weights, biases])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_one_product_of_a_gpu_is_the_same_as_many(dtype: torch.dtype) -> None:
    x, y = torch.randn(P, K).to(dtype), torch.randn(P, OUT).to(dtype)
    weights = torch.randn(len(BOUNDS), K, OUT).to(dtype)
    tolerance = {"atol": 1e-5, "rtol": 1e-5} if dtype is torch.float32 else {}

    product, outer = stacked_linear(x, weights, BOUNDS), stacked_outer(x, y, BOUNDS)
    back = stacked_linear(y, weights.transpose(1, 2), BOUNDS)

    for run, ((start, end), weight) in enumerate(zip(BOUNDS, weights, strict=True)):
        torch.testing.assert_close(product[start:end], x[start:end] @ weight, **tolerance)
        torch.testing.assert_close(outer[run], x[start:end].t() @ y[start:end], **tolerance)
        torch.testing.assert_close(back[start:end], y[start:end] @ weight.t(), **tolerance)


@pytest.mark.parametrize("as_one", [True, False])
def test_products_are_in_the_type_of_x_and_gradients_in_that_of_the_weights(
    as_one: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouped, "as_one", lambda *_: as_one)
    x = torch.randn(P, K).bfloat16().requires_grad_()
    weights, biases = (make(*shape).detach().float() for shape in ((K, OUT), (OUT,)))
    weights.requires_grad_()
    biases.requires_grad_()

    out = grouped_linear(x, weights, biases, BOUNDS)
    out.float().square().sum().backward()

    assert out.dtype is torch.bfloat16
    assert x.grad is not None
    assert x.grad.dtype is torch.bfloat16
    assert weights.grad is not None
    assert weights.grad.dtype is torch.float32
    for run, (start, end) in enumerate(BOUNDS):
        part = x.detach()[start:end].float()
        wanted = part @ weights.detach()[run] + biases.detach()[run]
        assert (out[start:end].float() - wanted).norm() < 1e-2 * wanted.norm()
        expected = 2 * part.t() @ wanted
        assert (weights.grad[run] - expected).norm() < 2e-2 * expected.norm()
