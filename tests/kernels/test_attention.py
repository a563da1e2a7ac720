"""Attention of texts of any lengths in one call, against PyTorch's of one text after the other."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

H, D = 2, 20
WIDTHS, VALID = (70, 5), (np.array([70, 3]), np.array([2, 5]))
STARTS, P = (0, 140), 150


def plain(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return the attention of one text, (queries, D)."""
    heads = [x.view(len(x), H, D // H).transpose(0, 1) for x in (query, key, value)]
    return F.scaled_dot_product_attention(*heads).transpose(0, 1).reshape(len(query), D)


@pytest.mark.parametrize("one_query", [True, False])
def test_each_text_attends_to_its_own_words(one_query: bool, device: torch.device) -> None:
    from mtl_core.kernels.attention import Texts, attend_all, lay_out

    first = (0, 2) if one_query else STARTS
    groups = [Texts(*of, one_query) for of in zip(STARTS, first, WIDTHS, VALID, strict=True)]
    packed = torch.randn(P, (2 if one_query else 3) * D, device=device, requires_grad=True)
    apart = torch.randn(4, D, device=device, requires_grad=True) if one_query else None
    leaves = [packed] if apart is None else [packed, apart]

    found = attend_all(packed, apart, lay_out(groups, device), H)

    outs = []
    for group in groups:
        for text, valid in enumerate(group.valid):
            start = group.first_key + text * group.width
            rows, key, value = packed[start : start + group.width], *packed.split(D, 1)[-2:]
            keys, values = (x[start : start + valid] for x in (key, value))
            query = rows[:, :D] if apart is None else apart[len(outs), None]
            outs.append(plain(query, keys, values))
    wanted = torch.cat(outs)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    given = torch.randn_like(wanted)
    ours, theirs = (torch.autograd.grad(y, leaves, given) for y in (found, wanted))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_dropped_weights_have_the_gradient_of_what_was_computed(device: torch.device) -> None:
    from mtl_core.kernels.attention import Texts, attend_all, lay_out

    groups = [Texts(0, 0, 9, np.array([9, 4]), False, 0.4)]
    packed = torch.randn(18, 3 * D, device=device, requires_grad=True)
    layout, given = lay_out(groups, device), torch.randn(18, D, device=device)
    step = 1e-2 * torch.randn_like(packed)

    out = attend_all(packed, None, layout, H, [(7, 8)])
    (gradient,) = torch.autograd.grad(out, packed, given)
    ahead, behind = (
        attend_all(packed + sign * step, None, layout, H, [(7, 8)]) for sign in (1, -1)
    )

    change = ((ahead - behind) / 2 * given).sum()
    torch.testing.assert_close(change, (gradient * step).sum(), atol=1e-3, rtol=1e-2)


def test_of_the_weights_a_share_is_dropped_by_the_keys_of_a_lane(device: torch.device) -> None:
    from mtl_core.kernels.attention import Texts, attend_all, lay_out

    packed = torch.zeros(3 * 64, 3 * D, device=device)  # so that all weights are 1 / 64
    packed[:, 2 * D :] = 1.0
    lane = Texts(0, 0, 64, np.array([64]), False, 0.25)
    company = [
        Texts(0, 0, 64, np.array([64, 64]), False, 0.5),
        lane._replace(first_key=128, first_query=128),
    ]

    alone = attend_all(packed[:64], None, lay_out([lane], device), H, [(3, 4)])
    among = attend_all(packed, None, lay_out(company, device), H, [(9, 9), (3, 4)])

    assert torch.equal(among[128:], alone)
    kept = alone.mean() * (1 - 0.25)  # of 64 x 64 weights of two heads
    assert abs(kept.item() - 0.75) < 0.02


@pytest.mark.parametrize(
    ("d_head", "dtype", "compiled"),
    [
        (32, torch.bfloat16, 24576),
        (50, torch.bfloat16, 40960),
        (128, torch.bfloat16, 73728),
        (256, torch.bfloat16, 139264),
        (32, torch.float32, 65536),
        (64, torch.float32, 98304),
        (128, torch.float32, 163840),
    ],
)
def test_a_program_takes_no_more_shared_memory_than_is_said(
    d_head: int, dtype: torch.dtype, compiled: int
) -> None:
    """What Triton 3.9 takes for compute capabilities 8.0, 8.9 and 9.0."""
    pytest.importorskip("triton")
    from mtl_core.kernels.attention import shared_bytes

    assert compiled <= shared_bytes(d_head, dtype) <= compiled + 2**15 + 2**12
