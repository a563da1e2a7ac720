"""Dropout by keys: shares, scale, gradient, and independence of what stands beside."""

import pytest
import torch

from mtl_core.kernels.usable import is_recent, usable
from mtl_core.model.dropout import Noise, Span, drop

SHARE = 0.3


def test_a_span_loses_its_share_and_keeps_its_mean(device: torch.device) -> None:
    x = torch.ones(300, 40, device=device)

    y = drop(x, [Span(0, 200, Noise(device, 1), SHARE), Span(200, 300, None, SHARE)])

    kept = y[:200] != 0
    assert abs(kept.float().mean().item() - (1 - SHARE)) < 0.02  # 4 standard errors
    torch.testing.assert_close(y[:200][kept], torch.full_like(y[:200][kept], 1 / (1 - SHARE)))
    assert torch.equal(y[200:], x[200:])


def test_the_gradient_goes_where_the_number_went(device: torch.device) -> None:
    x = torch.randn(50, 9, device=device, requires_grad=True)

    y = drop(x, [Span(0, 50, Noise(device, 3), SHARE)])
    y.sum().backward()

    assert x.grad is not None
    torch.testing.assert_close(x.grad * x, y)


def test_a_mask_follows_from_the_seed_and_the_number_of_the_draw(device: torch.device) -> None:
    x = torch.ones(60, 30, device=device)

    source = Noise(device, seed=3)

    alone = drop(x[:20], [Span(0, 20, Noise(device, 3), SHARE)])
    among = drop(x, [Span(0, 40, Noise(device, 4), 0.5), Span(40, 60, source, SHARE)])
    other_keys = [drop(x[:20], [Span(0, 20, source, SHARE)]) for _ in range(40)]

    assert torch.equal(among[40:], alone)
    for other in other_keys:  # two masks agree by chance
        agree = ((other != 0) == (alone != 0)).float().mean().item()
        assert abs(agree - (SHARE**2 + (1 - SHARE) ** 2)) < 0.08


def test_the_kernels_run_in_single_and_half_precision_only(device: torch.device) -> None:
    assert usable(device, torch.float32)
    assert usable(device, torch.bfloat16)
    assert not usable(device, torch.float64)


@pytest.mark.usefixtures("device")
def test_the_kernels_run_on_gpus_that_triton_knows_only(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda", 7)
    for capability, runs in (((8, 0), True), ((7, 5), False)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, found=capability: found)
        is_recent.cache_clear()
        assert usable(gpu, torch.float32) is runs
    is_recent.cache_clear()
