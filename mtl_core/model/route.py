"""The way of a minibatch's rows through the banks of a plan, layer by layer.

Rows that need the same bank at a layer go through it together, as one `Piece`; rows that part go on
in pieces of their own, and rows that meet again are put together again. A row leaves after the
layer it reads. Texts never see each other, so how rows are put together changes no result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from mtl_core.model.plan import SharingPlan, Tokens

# Rows are computed apart where one is much shorter than the other, so as not to compute padding.
_WIDTH_RATIO = 0.85


@dataclass(frozen=True)
class Piece:
    """Rows that pass a layer together.

    Args:
        rows: Places of the rows in the minibatch.
        bank: Bank of the layer.
        entered: Their tokens stand before their words.
        enters: They do so from this layer on.
        reads: Their sentence vectors are read after this layer.
        width: Words to which the texts are padded.
    """

    rows: tuple[int, ...]
    bank: int
    entered: bool
    enters: bool
    reads: bool
    width: int


@lru_cache(maxsize=4096)
def plan_route(
    plan: SharingPlan, tasks: tuple[int, ...], widths: tuple[int, ...]
) -> tuple[tuple[Piece, ...], ...]:
    """Return the pieces of each layer, first those of the embedding (layer 0).

    Args:
        tasks: Task of each row.
        widths: Words to which each row is padded; rows of different widths stay apart.
    """
    return tuple(_pieces(plan, layer, tasks, widths) for layer in range(1 + plan.n_layers))


def _pieces(
    plan: SharingPlan, layer: int, tasks: tuple[int, ...], widths: tuple[int, ...]
) -> tuple[Piece, ...]:
    rows: dict[tuple[int, bool, bool, bool, int], list[int]] = {}
    free = plan.tokens in (Tokens.CLS, Tokens.OWN, Tokens.ALL)
    for row, (task, width) in enumerate(zip(tasks, widths, strict=True)):
        reads_at, depth = plan.readout_layer[task], plan.token_depth[task]
        if layer <= reads_at:
            bank, entered = plan.groups[layer][task], free and depth < layer
            enters = entered and depth == layer - 1
            rows.setdefault((bank, entered, enters, layer == reads_at, width), []).append(row)
    return tuple(Piece(tuple(of_key), *key) for key, of_key in rows.items())


def common_widths(longest: Sequence[int]) -> tuple[int, ...]:
    """Return the width to pad each row to: that of the longest row that is not much longer."""
    widths = [0] * len(longest)
    width = 0
    for row in sorted(range(len(longest)), key=lambda row: -longest[row]):
        if longest[row] < _WIDTH_RATIO * width or not width:
            width = longest[row]
        widths[row] = width
    return tuple(widths)


def take_rows(x: Tensor, rows: tuple[int, ...], sizes: tuple[int, ...]) -> Tensor:
    """Return the texts of `rows` out of those of all rows, (N, ...)."""
    if rows == tuple(range(len(sizes))):
        return x
    parts = torch.split(x, list(sizes))
    return torch.cat([parts[row] for row in rows]) if len(rows) > 1 else parts[rows[0]]


def regroup(
    state: list[tuple[tuple[int, ...], Tensor]], pieces: Sequence[Piece], sizes: tuple[int, ...]
) -> list[Tensor]:
    """Return the texts of each piece, out of those that stand together in `state`.

    Args:
        state: Rows, and their texts, (texts of these rows, ...).
    """
    if [rows for rows, _ in state] == [piece.rows for piece in pieces]:
        return [x for _, x in state]
    parts: dict[int, Tensor] = {}
    for rows, x in state:
        parts.update(zip(rows, torch.split(x, [sizes[row] for row in rows]), strict=True))
    together = [[parts[row] for row in piece.rows] for piece in pieces]
    return [torch.cat(part) if len(part) > 1 else part[0] for part in together]
