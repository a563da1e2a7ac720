"""The norm of runs against PyTorch's norm of each run."""

import torch
import torch.nn.functional as F

BOUNDS = ((0, 7), (7, 8), (8, 40))
WIDTH = 30


def test_each_run_is_normed_by_its_own_weights(device: torch.device) -> None:
    from mtl_core.kernels.norm import norm_runs

    x = torch.randn(40, WIDTH, device=device, requires_grad=True)
    weights, biases = (torch.randn(3, WIDTH, device=device, requires_grad=True) for _ in range(2))
    given = torch.randn(40, WIDTH, device=device)

    found = norm_runs(x, weights, biases, BOUNDS, torch.float32, 1e-5)

    parts = zip(BOUNDS, weights, biases, strict=True)
    wanted = torch.cat([F.layer_norm(x[s:e], (WIDTH,), w, b) for (s, e), w, b in parts])
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    ours, theirs = (
        torch.autograd.grad(y, [x, weights, biases], given, retain_graph=True)
        for y in (found, wanted)
    )
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
