"""The few banks that one minibatch needs, out of all banks of a model.

The tables of a group (`tables.py`) stand side by side: a bank is one row of numbers, and `Narrowed`
holds the used rows of each group as one leaf of the graph, so that a backward pass never makes
gradients for the others, and an optimiser has few tensors to go through. `unpack` takes the rows of
several models apart into the tables that their runs use.
Shapes: G banks of a group, S numbers of a bank, R runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

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


@dataclass(frozen=True, eq=False)
class Kinds:
    """The tables that stand side by side in a bank: shapes, and the types they are used in."""

    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[torch.dtype, ...]

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        return tuple(prod(shape) for shape in self.shapes)

    @cached_property
    def types(self) -> frozenset[torch.dtype]:
        return frozenset(self.dtypes)


# A bank for each run: its group's tensor, and its place there.
Chosen = Sequence[tuple[Tensor, int]]
# The tables of one kind: those of all runs in one tensor, (R, *shape), or R of them.
Tables = Tensor | Sequence[Tensor]
_Place = tuple[int, Any]  # number of a source with one of its rows, or with `...` for all of them


def unpack(chosen: Chosen, kinds: Kinds, *, as_one: bool) -> list[Tables]:
    """Return the tables of the chosen banks by kind, each (R, *shape) `as_one`, else R of them.

    As operations of autograd, taking tables out of a bank and putting their gradients together
    would cost a small model as much as its layers; so it is one function with one gradient.
    """
    if as_one:
        return list(_unpack([(0, ...)], kinds, [stack_rows(chosen)]))
    sources, places = [chosen[0][0]], []
    for table, row in chosen:
        if table is not sources[-1]:
            sources.append(table)
        places.append((len(sources) - 1, row))
    tables, count = _unpack(places, kinds, sources), len(kinds.shapes)
    return [tables[kind::count] for kind in range(count)]


def _unpack(
    places: Sequence[_Place], kinds: Kinds, sources: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    return _Unpack.apply(places, kinds, *sources)  # type: ignore[no-untyped-call]


class _Unpack(torch.autograd.Function):
    """All tables of the first place, of the second, and so on; they are views where they can."""

    @staticmethod
    def forward(
        ctx: Any, places: Sequence[_Place], kinds: Kinds, *sources: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.places, ctx.kinds = places, kinds
        ctx.shapes, ctx.new = [source.shape for source in sources], sources[0].new_empty
        tables: list[Tensor] = []
        for source, row in places:
            bank = sources[source].data[row]
            by_type = {dtype: _side_by_side(bank.to(dtype), kinds) for dtype in kinds.types}
            if len(by_type) == 1:
                tables += by_type.popitem()[1]
            else:
                tables += [by_type[dtype][kind] for kind, dtype in enumerate(kinds.dtypes)]
        return tuple(tables)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        missing, count = set(ctx.places), len(ctx.kinds.shapes)
        of_sources = [
            ctx.new(shape) if _covers(missing, number, shape[0]) else ctx.new(shape).zero_()
            for number, shape in enumerate(ctx.shapes)
        ]
        for number, place in enumerate(ctx.places):
            tables = _side_by_side(of_sources[place[0]][place[1]], ctx.kinds)
            mine = gradients[number * count : (number + 1) * count]
            _put(tables, mine, add=place not in missing)
            missing.discard(place)
        return None, None, *of_sources


def _covers(places: set[_Place], source: int, n_rows: int) -> bool:
    """Whether all rows of a source are among the places."""
    return (source, ...) in places or all((source, row) in places for row in range(n_rows))


def _put(tables: list[Tensor], gradients: Sequence[Tensor | None], *, add: bool) -> None:
    """Write the gradients to the tables, or add them to what two runs with one bank have there."""
    given = [gradient for gradient in gradients if gradient is not None]
    places = tables
    if len(given) < len(tables):
        places = [table for table, g in zip(tables, gradients, strict=True) if g is not None]
    if add:
        for table, gradient in zip(places, given, strict=True):
            table.add_(gradient)
        return
    if len(given) < len(tables):
        torch._foreach_zero_(tables)
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
    """Return the tables that stand side by side in `rows`, each (R, *shape), as views."""
    return _side_by_side(rows, Kinds(tuple(shapes), ()))


def _side_by_side(rows: Tensor, kinds: Kinds) -> list[Tensor]:
    """The same; of one row alone, (S,), the tables are (*shape)."""
    columns, before = torch.split_with_sizes(rows, kinds.sizes, -1), rows.shape[:-1]
    return [
        column.view(*before, *shape) if len(shape) > 1 else column
        for column, shape in zip(columns, kinds.shapes, strict=True)
    ]


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
