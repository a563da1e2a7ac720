"""Masks from random bits: their share, their expectation, and where their bits come from."""

import numpy as np
import pytest
import torch

from mtl_core.model.dropout import (
    Noise,
    Span,
    drop_mask,
    kept_scale,
    random_bytes,
    threshold,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_a_mask_drops_its_share_and_keeps_the_expectation(share: float) -> None:
    mask = Noise(CPU).mask((1000, 400), share, torch.float32)

    assert mask.unique().tolist() == pytest.approx([0, kept_scale(share)])
    assert (mask == 0).float().mean().item() == pytest.approx(share, abs=4e-3)
    assert mask.mean().item() == pytest.approx(1, abs=1e-2)


def test_eight_bits_are_taken_where_they_are_enough() -> None:
    assert threshold(0.1) == (torch.int8, 26 - 128)  # 0.1016
    assert threshold(0.5) == (torch.int8, 0)
    assert threshold(0.01) == (torch.int16, 655 - 32768)
    assert threshold(0.9999999) == (torch.int16, 32767)  # something is always kept


def test_the_scale_belongs_to_the_share_that_is_really_dropped() -> None:
    assert kept_scale(0.1) == 256 / (256 - 26)
    assert kept_scale(0.01) == 65536 / (65536 - 655)
    assert kept_scale(0.9999999) == 65536


def test_units_are_dropped_independently_of_their_neighbours() -> None:
    dropped = (Noise(CPU).mask((400_000,), 0.5, torch.float32) == 0).float() - 0.5

    for shift in (1, 2, 3, 4, 8):
        together = (dropped[shift:] * dropped[:-shift]).mean().item()
        assert together == pytest.approx(0, abs=2e-3)


def test_all_bits_are_random() -> None:
    numbers = random_bytes(100_000, np.random.SFC64(0))

    for bit in range(8):
        assert ((numbers >> bit) & 1).float().mean().item() == pytest.approx(0.5, abs=0.01)


def test_masks_of_both_kinds_may_take_turns() -> None:
    noise = Noise(CPU, seed=1)

    shares = [
        (noise.mask((3001,), share, torch.float32) == 0).float().mean().item()
        for share in [0.1, 0.01] * 20
    ]

    assert sum(shares[::2]) / 20 == pytest.approx(26 / 256, abs=5e-3)
    assert sum(shares[1::2]) / 20 == pytest.approx(0.01, abs=2e-3)


def test_a_part_has_the_same_mask_in_any_company() -> None:
    def make(seed: int) -> Noise:
        return Noise(CPU, seed=seed)

    others = [Span(0, 5, make(1), 0.3), Span(5, 9, make(2), 0.5), Span(9, 12, None, 0.5)]
    among = drop_mask(others, 7, torch.float32, CPU)
    alone = drop_mask([Span(0, 4, make(2), 0.5)], 7, torch.float32, CPU)

    assert among is not None
    assert alone is not None
    assert torch.equal(among[5:9], alone)
    assert bool((among[9:] == 1).all())
    assert drop_mask([Span(0, 4, make(2), 0.0)], 7, torch.float32, CPU) is None


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


def test_a_source_splits_into_others_by_its_seed_alone() -> None:
    drawn = Noise(CPU, 7)
    drawn.mask((100,), 0.5, torch.float32)

    first, second = (of.mask((1000,), 0.5, torch.float32) for of in drawn.split(2))
    (again,) = (of.mask((1000,), 0.5, torch.float32) for of in Noise(CPU, 7).split(1))

    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert not torch.equal(first, Noise(CPU, 7).mask((1000,), 0.5, torch.float32))
