"""Look-ahead on losses whose change can be written down, and Adam's step for one gradient."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mtl_core.affinity.look_ahead import Tables, adam_step, look_ahead
from mtl_core.training.moves import Move, move_together
from mtl_core.training.optimizer import AdamSettings, BankAdam


def test_a_gradient_step_on_quadratic_losses_changes_them_as_worked_by_hand() -> None:
    # L_j = |x - c_j|^2 / 2 at x = 0, so the gradient of L_i is -c_i and a step of 0.1 leads to
    # 0.1 c_i. With c = (2, 0), (1, 1), (-1, 0): L before = 2, 1, 0.5.
    centres = torch.tensor([[2.0, 0.0], [1.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    tables = {"x": torch.zeros(2, dtype=torch.float64)}

    def losses(now: Tables) -> Tensor:
        return ((now["x"] - centres) ** 2).sum(1) / 2

    found = look_ahead(losses, tables, [{"x": 0.1 * centre} for centre in centres])

    expected = [
        [1 - 1.62 / 2, 1 - 0.82 / 1, 1 - 0.72 / 0.5],  # x = (0.2, 0)
        [1 - 1.81 / 2, 1 - 0.81 / 1, 1 - 0.61 / 0.5],  # x = (0.1, 0.1)
        [1 - 2.205 / 2, 1 - 1.105 / 1, 1 - 0.405 / 0.5],  # x = (-0.1, 0)
    ]
    assert found.numpy() == pytest.approx(np.array(expected))
    assert not tables["x"].any()  # nothing has moved


def test_tables_that_a_step_does_not_name_stay() -> None:
    tables = {"x": torch.tensor([1.0]), "head": torch.tensor([3.0])}

    found = look_ahead(lambda now: now["x"] * now["head"], tables, [{"x": torch.tensor([-0.5])}])

    assert found.tolist() == [[0.5]]


def test_a_loss_of_zero_falls_by_nothing_and_is_worked_out_once_before_all_steps() -> None:
    asked = []

    def losses(now: Tables) -> Tensor:
        asked.append(now)
        return torch.stack([torch.zeros(()), now["x"].sum()])

    found = look_ahead(losses, {"x": torch.ones(1)}, [{"x": torch.full((1,), -0.5)}] * 2)

    assert found.tolist() == [[0.0, 0.5], [0.0, 0.5]]
    assert len(asked) == 3


def test_the_step_is_that_of_adam_without_momentum_at_the_length_given() -> None:
    # Of a table that Adam has not moved yet, its first step is each gradient's sign, so the step
    # has numbers of one size: with four of them and length 1, a half each.
    table = torch.zeros(2, 2)
    optimizer = BankAdam({"x": table}, AdamSettings())
    gradient = torch.tensor([[0.001, -5.0], [0.3, -0.02]])

    step = adam_step(optimizer, {"x": torch.tensor([0, 1])}, {"x": gradient}, length=1.0)

    assert step["x"].flatten().tolist() == pytest.approx([-0.5, 0.5, -0.5, 0.5], rel=1e-4)


def test_numbers_that_have_seen_large_gradients_move_less() -> None:
    # The second moment after one step with gradients 3 and 0.1, and another with 1 and 1, is, in
    # shares of 0.001 before the bias is corrected: 0.999 * 9 + 1 and 0.999 * 0.01 + 1.
    table = torch.zeros(1, 2)
    optimizer = BankAdam({"x": table}, AdamSettings())
    move = Move(optimizer, {"x": torch.tensor([[3.0, 0.1]])}, {"x": (0,)}, {"x": 0.1})
    move_together([move], as_one=False)
    before = optimizer.state_dict()["squares/x"].clone()

    step = adam_step(optimizer, {"x": torch.tensor([0])}, {"x": torch.ones(1, 2)}, length=1.0)

    first, second = step["x"][0].tolist()
    ratio = ((0.999 * 9 + 1) / (0.999 * 0.01 + 1)) ** 0.5
    assert second / first == pytest.approx(ratio, rel=1e-4)
    assert first**2 + second**2 == pytest.approx(1.0)
    assert torch.equal(optimizer.state_dict()["squares/x"], before)


def test_all_tables_together_have_the_length() -> None:
    optimizer = BankAdam({"a": torch.zeros(1, 3), "b": torch.zeros(2, 1)}, AdamSettings())
    gradients = {"a": torch.randn(1, 3), "b": torch.randn(1, 1)}

    step = adam_step(
        optimizer, {"a": torch.tensor([0]), "b": torch.tensor([1])}, gradients, length=0.2
    )

    assert sum(float((part**2).sum()) for part in step.values()) == pytest.approx(0.04, rel=1e-5)


def test_no_gradient_is_no_step() -> None:
    optimizer = BankAdam({"x": torch.zeros(1, 3)}, AdamSettings())

    step = adam_step(optimizer, {"x": torch.tensor([0])}, {"x": torch.zeros(1, 3)})

    assert not step["x"].any()
