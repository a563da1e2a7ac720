"""Masks from random bits: their share, their expectation, and where their bits come from."""

import numpy as np
import pytest
import torch

from mtl_core.model.dropout import Noise, dropped_levels, kept_scale, random_bits

CPU = torch.device("cpu")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_mask_drops_its_share_and_keeps_the_expectation(share: float) -> None:
    mask = Noise(CPU).mask((1000, 400), share, torch.float32)

    assert mask.unique().tolist() == pytest.approx([0, 1 / (1 - share)], rel=1e-3)
    assert (mask == 0).float().mean().item() == pytest.approx(share, abs=4e-3)
    assert mask.mean().item() == pytest.approx(1, abs=1e-2)


def test_the_scale_belongs_to_the_share_that_is_really_dropped() -> None:
    assert dropped_levels(0.1) == 6554
    assert kept_scale(0.1) == 65536 / (65536 - 6554)
    assert dropped_levels(0.9999999) == 65535  # something is always kept


def test_units_are_dropped_independently_of_their_neighbours() -> None:
    dropped = (Noise(CPU).mask((400_000,), 0.5, torch.float32) == 0).float() - 0.5

    for shift in (1, 2, 3, 4, 8):
        together = (dropped[shift:] * dropped[:-shift]).mean().item()
        assert together == pytest.approx(0, abs=2e-3)


def test_all_16_bits_are_random() -> None:
    bits = random_bits(100_000, np.random.SFC64(0))

    for bit in range(16):
        assert ((bits >> bit) & 1).float().mean().item() == pytest.approx(0.5, abs=0.01)


def test_the_same_generator_state_gives_the_same_masks_and_another_one_others() -> None:
    torch.manual_seed(3)
    first = Noise(CPU).mask((50,), 0.5, torch.float32)
    torch.manual_seed(3)
    again = Noise(CPU).mask((50,), 0.5, torch.float32)
    other = Noise(CPU).mask((50,), 0.5, torch.float32)

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_masks_of_one_pass_share_no_bits() -> None:
    noise = Noise(CPU)

    masks = [noise.mask((64,), 0.5, torch.float32) for _ in range(600)]  # several draws of bits

    assert len({tuple(mask.tolist()) for mask in masks}) == 600


def test_a_mask_has_the_type_asked_for() -> None:
    assert Noise(CPU).mask((3, 2), 0.5, torch.float64).dtype is torch.float64
