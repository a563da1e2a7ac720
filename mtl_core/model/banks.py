"""The few banks of the tables that one minibatch needs.

`Narrowed` holds only the used banks of each table (`tables.py`) as leaves of the graph, so that a
backward pass never makes gradients for the others; `BankViews` hands out single banks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Narrowed:
    """The part of each table that a minibatch uses.

    Args:
        used: Bank or row numbers in use of each group of tables, sorted, int64.
        tables: A leaf for each trainable parameter: its used banks or rows, (used, ...). It is a
            view of the parameter where the used ones stand side by side, so writing to it writes
            to the parameter; else a copy.
        places: Place of each used bank in `tables`, by group (not for the words).
        word_places: Row of `tables["words"]` for each word of the minibatch, (N, T).
    """

    used: dict[str, Tensor]
    tables: dict[str, Tensor]
    places: Mapping[str, Mapping[int, int]]
    word_places: Tensor


@dataclass
class BankViews:
    """Single banks of the tables of one forward pass.

    Args:
        tables: Tables by parameter name.
        places: Place of a bank in the tables of a group; None: its number.
    """

    tables: Mapping[str, Tensor]
    places: Mapping[str, Mapping[int, int]] | None = None
    _apart: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)

    def take(self, names: Sequence[str], group: str, bank: int) -> list[Tensor]:
        """Return one bank of each of the tables `names`, which belong to `group`."""
        place = bank if self.places is None else self.places[group][bank]
        return [self._bank(name, place) for name in names]

    def _bank(self, name: str, place: int) -> Tensor:
        table = self.tables[name]
        if len(table) == 1:
            return table.squeeze(0)  # its gradient is a view; that of a bank of several is a copy
        if not (table.requires_grad and torch.is_grad_enabled()):
            return table[place]
        if name not in self._apart:  # one gradient for all banks, where `table[i]` makes one each
            self._apart[name] = table.unbind(0)
        return self._apart[name][place]


def narrow_table(table: Tensor, numbers: Sequence[int], used: Tensor) -> Tensor:
    """Return `table[used]` as a new leaf, without copying where the used ones stand together.

    Args:
        numbers: The used ones, sorted.
        used: The same as a tensor.
    """
    first, count = numbers[0] if numbers else 0, len(numbers)
    if not numbers or numbers[-1] - first + 1 == count:
        part = table.detach() if count == len(table) else table.detach()[first : first + count]
    else:
        part = table.detach().index_select(0, used)
    return part.requires_grad_(table.requires_grad)


def narrow_words(table: Tensor, used: Tensor) -> Tensor:
    """Return the used rows of the word table as a new leaf; a view where all are used."""
    part = table.detach() if len(used) == len(table) else table.detach().index_select(0, used)
    return part.requires_grad_()
