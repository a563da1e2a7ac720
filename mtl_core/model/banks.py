"""The few banks that one minibatch needs, out of all banks of a model.

The tables of a group (`tables.py`) stand side by side: a bank is one row of numbers, and `Narrowed`
holds the used rows of each group as one leaf of the graph, so that a backward pass never makes
gradients for the others, and an optimiser has few tensors to go through. `unpack` takes the rows of
several models apart into the tables that their runs use.
Shapes: G banks of a group, S numbers of a bank, R runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from mtl_core.model.wide import WideLookup


@dataclass(frozen=True)
class Narrowed:
    """The part of each group that a minibatch uses.

    Args:
        used: Bank or row numbers in use of each group, sorted, int64.
        tables: A leaf for each group: its used banks, (used, S), or words, (used, E), or n-grams,
            (used, C). It is a view of the model's own where the used ones stand together, so
            writing to it writes to the model; else a copy.
        places: Place of each used bank in `tables`, by group (not for words and n-grams).
        word_places: Row of `tables["words"]` for each word of the minibatch, (N, T).
        wide: Rows of `tables["wide"]` for the n-grams of the minibatch, if the model has any.
    """

    used: Mapping[str, Tensor]
    tables: dict[str, Tensor]
    places: Mapping[str, Mapping[int, int]]
    word_places: Tensor
    wide: "WideLookup | None" = None


@dataclass(frozen=True)
class Banks:
    """The banks of one part of a pass.

    Args:
        rows: By group, (banks, S).
        places: Place of each bank in `rows`, by group; None: its number.
    """

    rows: Mapping[str, Tensor]
    places: Mapping[str, Mapping[int, int]] | None = None

    def place(self, group: str, bank: int) -> int:
        return bank if self.places is None else self.places[group][bank]


Shapes = tuple[tuple[int, ...], ...]  # of the tables that stand side by side in a bank
# A bank for each run: its group's tensor, and its place there.
Chosen = Sequence[tuple[Tensor, int]]
# The tables of one kind: those of all runs in one tensor, (R, *shape), or R of them.
Tables = Tensor | Sequence[Tensor]


def unpack(chosen: Chosen, shapes: Shapes, *, as_one: bool) -> list[Tables]:
    """Return the tables of the chosen banks by kind, each (R, *shape) `as_one`, else R of them.

    A bank is taken apart once, whoever uses it: the gradients of all of its tables are then put
    together by one operation. They are views wherever no rows have to be put together.
    """
    if as_one:
        return list(side_by_side(stack_rows(chosen), shapes))
    sources = {id(table): table for table, _ in chosen}
    rows = {name: _rows_of(table) for name, table in sources.items()}
    places = [(id(table), row) for table, row in chosen]
    banks = {
        place: side_by_side(rows[place[0]][place[1]], shapes) for place in dict.fromkeys(places)
    }
    return list(zip(*(banks[place] for place in places), strict=True))


def _rows_of(table: Tensor) -> Sequence[Tensor]:
    # Gradients of rows are put together by a copy, of which one row has no need.
    return table.unbind() if len(table) > 1 else (table.flatten(),)


def stack_rows(chosen: Chosen) -> Tensor:
    """Return the chosen rows, each named by its table and place, (R, S); a view if they can be."""
    pieces: list[tuple[Tensor, int, int]] = []
    for table, row in chosen:
        if pieces and pieces[-1][0] is table and pieces[-1][2] == row:
            pieces[-1] = (table, pieces[-1][1], row + 1)
        else:
            pieces.append((table, row, row + 1))
    taken = [
        table if stop - start == len(table) else table[start:stop] for table, start, stop in pieces
    ]
    return torch.cat(taken) if len(taken) > 1 else taken[0]


def side_by_side(rows: Tensor, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Return the tables that stand side by side in `rows`, each (R, *shape), as views.

    Args:
        rows: (R, S); of one row alone, (S,), the tables are (*shape).
    """
    columns, before = torch.split_with_sizes(rows, _sizes(tuple(shapes)), -1), rows.shape[:-1]
    return [
        column.view(*before, *shape) if len(shape) > 1 else column
        for column, shape in zip(columns, shapes, strict=True)
    ]


@lru_cache(maxsize=64)
def _sizes(shapes: Shapes) -> tuple[int, ...]:
    return tuple(map(prod, shapes))


def narrow_rows(rows: Tensor, numbers: Sequence[int], used: Tensor) -> Tensor:
    """Return `rows[used]` as a new leaf, without copying where the used ones stand together.

    Args:
        numbers: The used ones, sorted.
        used: The same as a tensor.
    """
    first, count = numbers[0] if numbers else 0, len(numbers)
    if not numbers or numbers[-1] - first + 1 == count:
        part = rows.detach() if count == len(rows) else rows.detach()[first : first + count]
    else:
        part = rows.detach().index_select(0, used)
    return part.requires_grad_()


def narrow_words(table: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return which rows of the word table are used, sorted, them as a new leaf, and new places.

    Args:
        places: Row of the table of each word, any shape, on the CPU.
    """
    numbers = places.numpy()
    is_used = np.zeros(len(table), dtype=np.bool_)
    is_used[numbers] = True  # by a mark for each row: sorting takes several times as long
    rows = np.flatnonzero(is_used)
    new = np.empty(len(table), dtype=np.int64)
    new[rows] = np.arange(len(rows))
    found = (torch.from_numpy(side) for side in (rows, new[numbers]))
    used, new_places = (side.to(table.device, non_blocking=True) for side in found)
    part = table.detach() if len(rows) == len(table) else table.detach().index_select(0, used)
    return used, part.requires_grad_(), new_places
