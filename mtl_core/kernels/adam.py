"""Adam on rows of any number of tables by two launches, in place (Kingma and Ba, 2015).

A first kernel counts the step of each row and prepares what follows from it, a second one moves all
numbers; tables and rows are found by their addresses, so nothing is gathered and put back.
Shapes: T tables, R rows of all of them, S numbers of a row.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from mtl_core.kernels.tiles import numbered

_BLOCK = 2048  # numbers of a program
_ROWS = 128  # rows of a program


class Table(NamedTuple):
    """Rows of one table, float32; what they are to `row_adam.Pace`'s numbers.

    Args:
        addresses: Of the values, their means and squares, (G, S) each, rows without gaps, and of
            the steps, (G, 1) or (G,).
        where: Which rows move, int64; None: all.
        gradient: (U, S), rows without gaps.
        scale: What the gradient is divided by, one number; None: 1.
        shrink: What the rows are multiplied by first (decoupled weight decay).
        decay: Share of the rows that is added to the gradient (L2).
    """

    addresses: tuple[int, ...]
    where: Tensor | None
    gradient: Tensor
    learning_rate: float
    scale: Tensor | None
    shrink: float
    decay: float


def move(tables: Sequence[Table], beta1: float, beta2: float, eps: float) -> None:
    """Move the rows of all tables, each row once."""
    device = tables[0].gradient.device
    addresses = np.array([_addresses(table) for table in tables], dtype=np.int64)
    rows, widths = (np.array([table.gradient.shape[side] for table in tables]) for side in (0, 1))
    first_rows = np.cumsum(rows) - rows
    sizes = np.stack([rows * widths, widths, first_rows, rows], axis=1)
    paces = np.array([(t.learning_rate, t.shrink, t.decay) for t in tables], dtype=np.float32)
    of_rows, of_numbers = _tiles(rows, _ROWS), _tiles(rows * widths, _BLOCK)
    given = [_sent(part, device) for part in (addresses, sizes, paces, of_rows, of_numbers)]
    found = torch.empty(int(rows.sum()), 2, dtype=torch.float32, device=device)
    logs = {"LOG1": math.log(beta1), "LOG2": math.log(beta2)}
    _adam_count[(len(of_rows),)](*given[:4], found, **logs, ROWS=_ROWS)
    _adam_move[(len(of_numbers),)](
        *given[:3], given[4], found, BETA1=beta1, BETA2=beta2, EPS=eps, BLOCK=_BLOCK
    )


def _addresses(table: Table) -> tuple[int, ...]:
    where, scale = table.where, table.scale
    return (
        *table.addresses,
        table.gradient.data_ptr(),
        0 if where is None else where.data_ptr(),
        0 if scale is None else scale.data_ptr(),
    )


def _tiles(counts: np.ndarray, size: int) -> np.ndarray:
    """Return the table of each tile and its first place in it, (tiles, 2)."""
    table, number = numbered(-(-counts // size))
    return np.stack([table, number * size], axis=1)


def _sent(numbers: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(numbers).to(device, non_blocking=True)


@triton.jit
def _row_at(addresses, table, places, there):
    """Return the rows of a table that are the `places`-th to move."""
    where = tl.load(addresses + table * 7 + 5)
    chosen = (places * 0 + where) != 0  # of each place, since a mask is no single number
    numbers = tl.load(where.to(tl.pointer_type(tl.int64)) + places, mask=there & chosen)
    return tl.where(chosen, numbers, places)


@triton.jit
def _without_exp(x):
    """Return 1 - exp(x) of x < 0, by its series where the difference would cancel."""
    series = 1 + x / 6 * (1 + x / 7 * (1 + x / 8))
    series = 1 + x / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5 * series)))
    return tl.where(x > -0.5, -x * series, 1 - tl.exp(x))


@triton.jit
def _adam_count(
    addresses, sizes, paces, tiles, found,
    LOG1: tl.constexpr, LOG2: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    tile = tiles + tl.program_id(0) * 2
    table = tl.load(tile)
    places = tl.load(tile + 1) + tl.arange(0, ROWS)
    there = places < tl.load(sizes + table * 4 + 3)
    rows = _row_at(addresses, table, places, there)
    steps = tl.load(addresses + table * 7 + 3).to(tl.pointer_type(tl.float32))
    count = tl.load(steps + rows, mask=there, other=0.0) + 1
    tl.store(steps + rows, count, mask=there)
    rate = tl.load(paces + table * 3) / _without_exp(count * LOG1)
    at = (tl.load(sizes + table * 4 + 2) + places) * 2
    tl.store(found + at, rate, mask=there)
    tl.store(found + at + 1, tl.sqrt(_without_exp(count * LOG2)), mask=there)


@triton.jit
def _adam_move(
    addresses, sizes, paces, tiles, found,
    BETA1: tl.constexpr, BETA2: tl.constexpr, EPS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    tile = tiles + tl.program_id(0) * 2
    table = tl.load(tile)
    own, size = addresses + table * 7, sizes + table * 4
    # A tile's first row and column by one division of 64 bits, all others by 32, which are quicker.
    first, width = tl.load(tile + 1), tl.load(size + 1)
    first_row, before = first // width, (first % width).to(tl.int32)
    numbers, width = before + tl.arange(0, BLOCK), width.to(tl.int32)
    places = first + tl.arange(0, BLOCK)
    there = places < tl.load(size)
    row, column = first_row + numbers // width, numbers % width
    at = _row_at(addresses, table, row, there) * width + column
    values_at = tl.load(own).to(tl.pointer_type(tl.float32)) + at
    means_at = tl.load(own + 1).to(tl.pointer_type(tl.float32)) + at
    squares_at = tl.load(own + 2).to(tl.pointer_type(tl.float32)) + at
    gradients = tl.load(own + 4).to(tl.pointer_type(tl.float32))
    gradient = tl.load(gradients + places, mask=there, other=0.0)
    scale = tl.load(own + 6)
    if scale != 0:
        gradient = gradient / tl.load(scale.to(tl.pointer_type(tl.float32)))
    values = tl.load(values_at, mask=there, other=0.0)
    values *= tl.load(paces + table * 3 + 1)
    gradient += values * tl.load(paces + table * 3 + 2)
    mean = tl.load(means_at, mask=there, other=0.0)
    mean += (gradient - mean) * (1 - BETA1)
    square = tl.load(squares_at, mask=there, other=0.0) * BETA2
    square += gradient * gradient * (1 - BETA2)
    of_row = found + (tl.load(size + 2) + row) * 2
    rate = tl.load(of_row, mask=there, other=0.0)
    correction = tl.load(of_row + 1, mask=there, other=1.0)
    values -= mean / (tl.sqrt(square) / correction + EPS) * rate
    tl.store(values_at, values, mask=there)
    tl.store(means_at, mean, mask=there)
    tl.store(squares_at, square, mask=there)
