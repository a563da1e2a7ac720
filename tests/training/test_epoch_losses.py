"""Losses add up by task, whether they are read at once or wait on a device."""

import math

import numpy as np
import pytest
import torch

from mtl_core.data.minibatch import Row
from mtl_core.training.epoch_losses import EpochLosses
from mtl_core.training.results import Diverged

NAMES = ("books", "dvd", "music")


def test_losses_add_up_by_task() -> None:
    losses = EpochLosses(NAMES)
    losses.add([0, 2], torch.tensor([1.0, 2.0]), [1.0, 2.0])
    losses.add([2], torch.tensor([0.5]), [0.5])

    rows = [Row(task, np.arange(2)) for task in range(3)]
    assert losses.totals() == [1.0, 0.0, 2.5]
    assert losses.means([(rows[0], rows[2]), (rows[2],), (rows[1],)]) == [1.0, 0.0, 1.25]


def test_losses_that_wait_on_a_device_are_read_when_they_are_asked_for() -> None:
    losses = EpochLosses(NAMES, [1.0, 0.0, 0.0])
    losses.add([1, 0], torch.tensor([2.0, 3.0]), [])
    losses.add([1], torch.tensor([0.5]), [])

    assert losses.totals() == [4.0, 2.5, 0.0]
    assert losses.totals() == [4.0, 2.5, 0.0]


def test_the_totals_are_a_copy() -> None:
    losses = EpochLosses(NAMES)
    losses.totals()[0] = 7.0

    assert losses.totals() == [0.0, 0.0, 0.0]


def test_losses_that_are_no_numbers_are_named() -> None:
    losses = EpochLosses(NAMES)
    losses.check([0, 2], [1.0, 2.0], "epoch 1")

    with pytest.raises(Diverged) as caught:
        losses.check([0, 1, 2], [1.0, math.nan, math.inf], "epoch 2, step 7")

    reason = "epoch 2, step 7: the loss is no finite number (dvd nan, music inf)"
    assert caught.value.reason == reason
