"""Cosines of gradients that are known."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mtl_core.affinity import gradient_cosine as module
from mtl_core.affinity.gradient_cosine import gradient_cosines, kept_numbers


def test_cosines_are_those_of_the_angles_layer_by_layer() -> None:
    gradients = [
        {"low": torch.tensor([1.0, 0.0]), "high": torch.tensor([[1.0, 1.0]])},
        {"low": torch.tensor([0.0, 3.0]), "high": torch.tensor([[2.0, 0.0]])},
        {"low": torch.tensor([-2.0, 0.0]), "high": torch.tensor([[-1.0, -1.0]])},
    ]

    found = gradient_cosines(gradients, ["low", "high"])

    half = 0.5**0.5
    assert found.shape == (2, 3, 3)
    assert found[0].numpy() == pytest.approx(np.array([[1, 0, -1], [0, 1, 0], [-1, 0, 1]]))
    expected = [[1, half, -1], [half, 1, -half], [-1, -half, 1]]
    assert found[1].numpy() == pytest.approx(np.array(expected))


def test_linear_tasks_pull_as_their_inputs_say() -> None:
    # The gradient of (w x_i - y_i)^2 / 2 is (w x_i - y_i) x_i: at w = 0 it is -y_i x_i.
    weights = torch.zeros(2, requires_grad=True)
    inputs = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
    wanted = torch.tensor([1.0, 2.0, -4.0])

    def gradient(task: int) -> dict[str, Tensor]:
        loss = (inputs[task] @ weights - wanted[task]) ** 2 / 2
        return {"w": torch.autograd.grad(loss, weights)[0]}

    (found,) = gradient_cosines([gradient(task) for task in range(3)], ["w"])

    assert found[0].tolist() == pytest.approx([1, 0.5**0.5, -1])


def test_a_gradient_of_zero_is_like_no_other() -> None:
    found = gradient_cosines([{"w": torch.zeros(3)}, {"w": torch.ones(3)}], ["w"])

    assert found[0].flatten().tolist() == pytest.approx([0, 0, 0, 1])


def test_of_a_large_layer_every_nth_number_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 4)

    assert kept_numbers(torch.arange(4.0)).tolist() == [0, 1, 2, 3]
    assert kept_numbers(torch.arange(10.0).view(2, 5)).tolist() == [0, 3, 6, 9]
