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
from typing import Any, NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class Narrowed:
    """The part of each group that a minibatch uses.

    Args:
        used: Bank or row numbers in use of each group, sorted, int64.
        tables: A leaf for each group: its used banks, (used, S), or words, (used, E). It is a view
            of the model's own where the used ones stand together, so writing to it writes to the
            model; else a copy.
        places: Place of each used bank in `tables`, by group (not for the words).
        word_places: Row of `tables["words"]` for each word of the minibatch, (N, T).
    """

    used: Mapping[str, Tensor]
    tables: dict[str, Tensor]
    places: Mapping[str, Mapping[int, int]]
    word_places: Tensor


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


class Kind(NamedTuple):
    """One of the tables that stand side by side; `dtype` is that in which it is used."""

    shape: tuple[int, ...]
    dtype: torch.dtype


Chosen = Sequence[
    tuple[Tensor, int]
]  # a bank for each run: its group's tensor, and its place there
Tables = Tensor | Sequence[Tensor]  # one kind of table: of all runs in one, (R, *shape), or of each


def unpack(chosen: Chosen, kinds: Sequence[Kind], *, as_one: bool) -> list[Tables]:
    """Return the tables of the chosen banks by kind, each (R, *shape) `as_one`, else R of them.

    As operations of autograd, taking tables out of a bank and putting their gradients together
    would cost a small model as much as its layers; so it is one function with one gradient.
    """
    if as_one:
        stacked: tuple[Tensor, ...] = _Unpack.apply(((0, ...),), tuple(kinds), stack_rows(chosen))  # type: ignore[no-untyped-call]
        return list(stacked)
    sources = list({id(table): table for table, _ in chosen}.values())
    numbers = {id(table): number for number, table in enumerate(sources)}
    places = tuple((numbers[id(table)], row) for table, row in chosen)
    tables: tuple[Tensor, ...] = _Unpack.apply(places, tuple(kinds), *sources)  # type: ignore[no-untyped-call]
    return [tables[kind :: len(kinds)] for kind in range(len(kinds))]


class _Unpack(torch.autograd.Function):
    """All tables of the first chosen bank, of the second, and so on; they are views where they can.

    A place is the number of a source with a row of it, or with `...` for all of its rows.
    """

    @staticmethod
    def forward(
        ctx: Any, places: tuple[tuple[int, Any], ...], kinds: tuple[Kind, ...], *sources: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.places, ctx.kinds = places, kinds
        ctx.shapes, ctx.new = [source.shape for source in sources], sources[0].new_empty
        shapes, types = [kind.shape for kind in kinds], {kind.dtype for kind in kinds}
        tables: list[Tensor] = []
        for source, row in places:
            bank = sources[source].data[row]
            by_type = {dtype: side_by_side(bank.to(dtype), shapes) for dtype in types}
            tables += [by_type[kind.dtype][at] for at, kind in enumerate(kinds)]
        return tuple(tables)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        covered = set(ctx.places)
        of_sources = [
            ctx.new(shape) if _covers(covered, number, shape[0]) else ctx.new(shape).zero_()
            for number, shape in enumerate(ctx.shapes)
        ]
        shapes = tuple(kind.shape for kind in ctx.kinds)
        for number, (source, row) in enumerate(ctx.places):
            of_bank = side_by_side(of_sources[source][row], shapes)
            mine = gradients[number * len(shapes) : (number + 1) * len(shapes)]
            first = (source, row) in covered
            covered.discard((source, row))
            _put(of_bank, mine, add=not first)
        return None, None, *of_sources


def _covers(places: set[tuple[int, Any]], source: int, n_rows: int) -> bool:
    """Whether all rows of a source are among the places."""
    return (source, ...) in places or all((source, row) in places for row in range(n_rows))


def _put(tables: Sequence[Tensor], gradients: Sequence[Tensor | None], *, add: bool) -> None:
    """Write the gradients to the tables, or add them to what two runs with one bank have there."""
    given = [gradient for gradient in gradients if gradient is not None]
    places = [table for table, g in zip(tables, gradients, strict=True) if g is not None]
    if add:
        for table, gradient in zip(places, given, strict=True):
            table.add_(gradient)
        return
    if len(given) < len(tables):
        torch._foreach_zero_(list(tables))
    if given:
        torch._foreach_copy_(places, given)


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
        rows: (R, S), or one row alone, (S,), whose tables are then (*shape).
    """
    columns = torch.split(rows, _sizes(tuple(shapes)), dim=-1)
    before = rows.shape[:-1]
    return [
        column.view(*before, *shape) if len(shape) > 1 else column
        for column, shape in zip(columns, shapes, strict=True)
    ]


@lru_cache(maxsize=64)
def _sizes(shapes: tuple[tuple[int, ...], ...]) -> list[int]:
    return [prod(shape) for shape in shapes]


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
        places: Row of the table of each word, any shape; on the CPU or where the table is.
    """
    is_used = torch.zeros(len(table), dtype=torch.bool, device=places.device)
    is_used[places] = True  # by a mark for each row: sorting takes several times as long
    used = is_used.nonzero().squeeze(1)
    new = torch.empty(len(table), dtype=torch.int64, device=places.device)
    new[used] = torch.arange(len(used), device=places.device)
    used, new_places = (t.to(table.device, non_blocking=True) for t in (used, new[places]))
    part = table.detach() if len(used) == len(table) else table.detach().index_select(0, used)
    return used, part.requires_grad_(), new_places
