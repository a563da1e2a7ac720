"""Adam of any number of tables by two launches, against that of each table by PyTorch's."""

import pytest
import torch
from torch import Tensor

from mtl_core.training.row_adam import BETA1, BETA2, EPS

SHAPES = ((5, 300), (40, 7), (1, 5000))


def start(shape: tuple[int, int], device: torch.device) -> list[Tensor]:
    """Return values, moments and step counts of a training under way."""
    steps = torch.randint(0, 2000, (shape[0], 1), device=device).float()
    values = [torch.randn(shape, device=device), torch.randn(shape, device=device) / 10]
    return [*values, torch.rand(shape, device=device) / 100, steps]


def moved(table: list[Tensor], gradient: Tensor, rate: float, shrink: float, decay: float) -> None:
    """Move all rows of a table in place, in float64."""
    values, mean, square, steps = (kind.double() for kind in table)
    values = values * shrink
    gradient = gradient.double() + decay * values
    mean, square = mean.lerp(gradient, 1 - BETA1), square.lerp(gradient**2, 1 - BETA2)
    steps = steps + 1
    corrected = (square / (1 - BETA2**steps)).sqrt() + EPS
    values = values - rate * mean / (1 - BETA1**steps) / corrected
    for kind, new in zip(table, (values, mean, square, steps), strict=True):
        kind.copy_(new)


@pytest.mark.parametrize("scaled", [True, False])
def test_rows_move_as_those_of_each_table_alone(scaled: bool, device: torch.device) -> None:
    from mtl_core.kernels.adam import Table, move

    tables = [start(shape, device) for shape in SHAPES]
    wanted = [[kind.clone() for kind in table] for table in tables]
    rows = [None, torch.tensor([4, 9, 30], device=device), None]
    paces = [(1e-3, 1.0, 0.0), (2e-3, 0.99, 0.0), (1e-3, 1.0, 0.1)]
    shapes = [SHAPES[0], (3, 7), SHAPES[2]]
    gradients = [torch.randn(shape, device=device) for shape in shapes]
    scale = torch.tensor(2.0, device=device) if scaled else None

    move(
        [
            Table(
                tuple(kind.data_ptr() for kind in table), where, gradient, pace[0], scale, *pace[1:]
            )
            for table, where, gradient, pace in zip(tables, rows, gradients, paces, strict=True)
        ],
        BETA1,
        BETA2,
        EPS,
    )

    for table, where, gradient, pace in zip(wanted, rows, gradients, paces, strict=True):
        gradient = gradient / 2 if scaled else gradient
        chosen = [kind if where is None else kind[where] for kind in table]
        moved(chosen, gradient, *pace)
        if where is not None:
            for kind, new in zip(table, chosen, strict=True):
                kind[where] = new
    torch.testing.assert_close(tables, wanted, atol=1e-6, rtol=1e-5)
