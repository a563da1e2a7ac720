"""What follows a product in one go, against the same one after the other."""

import pytest
import torch

RUNS = ((0, 7), (7, 8), (8, 40))
WIDTH = 20


@pytest.mark.parametrize(("relu", "adds"), [(True, False), (False, True), (False, False)])
@pytest.mark.parametrize("share", [0.0, 0.4])
def test_bias_activation_dropout_and_sum(
    relu: bool, adds: bool, share: float, device: torch.device
) -> None:
    from mtl_core.kernels.dropout import Dropped, dropout
    from mtl_core.kernels.finish import finish

    product = torch.randn(40, WIDTH, device=device, requires_grad=True)
    biases = torch.randn(len(RUNS), WIDTH, device=device, requires_grad=True)
    stream = torch.randn(40, WIDTH, device=device, requires_grad=True)
    given = torch.randn(40, WIDTH, device=device)
    spans = [Dropped(start, end, 0, share, (1, 2)) for start, end in RUNS]

    found = finish(product, biases, spans, relu=relu, added_to=stream if adds else None)

    wanted = product + torch.cat(
        [b.expand(e - s, -1) for (s, e), b in zip(RUNS, biases, strict=True)]
    )
    wanted = dropout(wanted.relu() if relu else wanted, spans)
    wanted = stream + wanted if adds else wanted
    torch.testing.assert_close(found, wanted)
    leaves = [product, biases, stream] if adds else [product, biases]
    ours, theirs = (torch.autograd.grad(y, leaves, given) for y in (found, wanted))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
