"""A product with what follows it in one go, against the same one after the other."""

import pytest
import torch

from mtl_core.model.dropout import Noise, Span, drop
from mtl_core.model.linear import linear

RUNS = ((0, 7), (7, 8), (8, 40))
INNER, WIDTH = 12, 20


@pytest.mark.parametrize(("relu", "adds"), [(True, False), (False, True), (False, False)])
@pytest.mark.parametrize("share", [0.0, 0.4])
@pytest.mark.parametrize("runs", [RUNS, RUNS[-1:]])
def test_product_bias_activation_dropout_and_sum(
    relu: bool, adds: bool, share: float, runs: tuple[tuple[int, int], ...], device: torch.device
) -> None:
    start, end = runs[0][0], runs[-1][1]
    runs = tuple((s - start, e - start) for s, e in runs)
    count = end - start
    x = torch.randn(count, INNER, device=device, requires_grad=True)
    weights = torch.randn(len(runs), INNER, WIDTH, device=device, requires_grad=True)
    biases = torch.randn(len(runs), WIDTH, device=device, requires_grad=True)
    stream = torch.randn(count, WIDTH, device=device, requires_grad=True)
    given = torch.randn(count, WIDTH, device=device)

    found = linear(
        x,
        weights if len(runs) > 1 else [weights[0]],
        biases if len(runs) > 1 else [biases[0]],
        runs,
        [Span(0, count, Noise(device, seed=3), share)],
        activation="relu" if relu else None,
        added_to=stream if adds else None,
    )

    parts = zip(runs, weights, biases, strict=True)
    wanted = torch.cat([x[s:e] @ weight + bias for (s, e), weight, bias in parts])
    wanted = drop(wanted.relu() if relu else wanted, [Span(0, count, Noise(device, seed=3), share)])
    wanted = stream + wanted if adds else wanted
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    leaves = [x, weights, biases, stream] if adds else [x, weights, biases]
    ours, theirs = (torch.autograd.grad(y, leaves, given) for y in (found, wanted))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
