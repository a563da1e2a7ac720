"""The few banks that one minibatch needs, out of all banks of a model.

The tables of a group (`tables.py`) stand side by side: a bank is one row of numbers, and `Narrowed`
holds the used rows of each group as one leaf of the graph, so that a backward pass never makes
gradients for the others, and an optimiser has few tensors to go through. `unpack` takes the rows of
several models apart into the tables that their runs use.
Shapes: G banks of a group, S numbers of a bank, R runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, NamedTuple

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
            writing to it writes to the model; else a copy. Where several models have leaves in
            common (`narrow_as_one.py`), those of others too.
        places: Place of each used bank among the model's own, by group (not for words and n-grams).
        word_places: Row of `tables["words"]` for each word of the minibatch, (N, T), on the CPU.
        wide: Rows of `tables["wide"]` for the n-grams of the minibatch, if the model has any.
        own: Which rows of a leaf are the model's own, from and to, by group; those that are not
            named are so whole.
    """

    used: Mapping[str, Tensor]
    tables: dict[str, Tensor]
    places: Mapping[str, Mapping[int, int]]
    word_places: Tensor
    wide: "WideLookup | None" = None
    own: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def gradients(self) -> dict[str, Tensor]:
        """Return the gradients of the model's own rows, by group, of leaves that have one."""
        found = {}
        for group, leaf in self.tables.items():
            first, stop = self.own.get(group, (0, len(leaf)))
            if leaf.grad is not None and first < stop:  # others may use a group that it does not
                found[group] = leaf.grad[first:stop]
        return found

    def first(self, group: str) -> int:
        """Return the first row of a leaf that is the model's own."""
        return self.own[group][0] if group in self.own else 0


class Use(NamedTuple):
    """What the minibatches of one update use of a model.

    Args:
        banks: Numbers of the used banks of each group, sorted.
        places: Place of each used bank among them.
        used: `banks` as tensors.
        words: Numbers of the used words' rows, sorted; None: word vectors that stay as they are.
        word_places: Place of each word of each minibatch among these, or in the whole table,
            (N, T), on the CPU.
    """

    banks: Mapping[str, tuple[int, ...]]
    places: Mapping[str, Mapping[int, int]]
    used: Mapping[str, Tensor]
    words: np.ndarray | None
    word_places: list[Tensor]


@dataclass(frozen=True)
class Banks:
    """The banks of one part of a pass.

    Args:
        rows: By group, (banks, S).
        narrowed: Says where each bank stands in `rows`; None: at its number.
    """

    rows: Mapping[str, Tensor]
    narrowed: Narrowed | None = None

    def place(self, group: str, bank: int) -> int:
        if self.narrowed is None:
            return bank
        return self.narrowed.first(group) + self.narrowed.places[group][bank]


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
    if len(pieces) > 1 and all(table is chosen[0][0] for table, _ in chosen):
        numbers = torch.tensor([row for _, row in chosen])
        return chosen[0][0].index_select(0, numbers.to(chosen[0][0].device, non_blocking=True))
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


def neighbours(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return the runs of numbers that follow each other: from and to among them."""
    breaks = [at for at in range(1, len(numbers)) if numbers[at] != numbers[at - 1] + 1]
    return list(pairwise([0, *breaks, len(numbers)])) if numbers else []


def used_words(count: int, places: Sequence[Tensor]) -> tuple[np.ndarray, list[Tensor]]:
    """Return which rows of a table of words are used, sorted, and the new place of each word.

    Args:
        count: Rows of the table.
        places: Row of each word, of any shape, on the CPU.
    """
    is_used = np.zeros(count, dtype=np.bool_)
    for part in places:
        is_used[part.numpy()] = True  # by a mark for each row: sorting takes several times as long
    rows = np.flatnonzero(is_used)
    new = np.empty(count, dtype=np.int64)
    new[rows] = np.arange(len(rows))
    return rows, [torch.from_numpy(new[part.numpy()]) for part in places]


def take_words(table: Tensor, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return the numbers of these rows on the table's device, and them as a new leaf."""
    used = torch.from_numpy(rows).to(table.device, non_blocking=True)
    part = table.detach() if len(rows) == len(table) else table.detach().index_select(0, used)
    return used, part.requires_grad_()
