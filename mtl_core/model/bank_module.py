"""A module whose tables stand side by side: of each bank of a group, one row of numbers.

Every table is a parameter whose leading dimension counts banks; tables whose banks are used
together are a group (`tables.py`). So what a minibatch uses of a group is taken by one operation,
and is one table to an optimiser.
Shapes: G banks of a group, S numbers of a bank.
"""

from collections.abc import Callable, Collection
from math import prod
from typing import Self

import torch
from torch import Tensor, nn

from mtl_core.model.banks import side_by_side


class BankModule(nn.Module):
    """Tables by their dotted names, and by groups.

    Attributes:
        table_group: Group of each table, by its name.
        rows: By group: all of its tables side by side, (G, S).
        frozen: Groups that stay as they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.table_group: dict[str, str] = {}
        self.rows: dict[str, Tensor] = {}
        self.frozen: frozenset[str] = frozenset()
        self._tables_of: dict[str, list[str]] = {}

    def add_table(self, name: str, group: str, table: Tensor) -> None:
        """Register a table under its dotted name; once all are there, they are to be tied."""
        self.table_group[name] = group
        self._tables_of.setdefault(group, []).append(name)
        path, _, kind = name.rpartition(".")
        holder: nn.Module = self
        for part in path.split(".") if path else []:
            if part not in holder._modules:
                holder.add_module(part, nn.Module())
            holder = holder.get_submodule(part)
        holder.register_parameter(kind, nn.Parameter(table))

    def tie(self) -> None:
        """Put the tables of each group side by side; the parameters become views of them."""
        for group, names in self._tables_of.items():
            tables = [self.get_parameter(name) for name in names]
            shapes = [tuple(table.shape[1:]) for table in tables]
            # Not by `cat`: where tensors have no data (`Lane.release`) that imports torch's
            # compiler, some 900 modules, in two seconds.
            rows = tables[0].new_empty(len(tables[0]), sum(map(prod, shapes)), requires_grad=False)
            for table, view in zip(tables, side_by_side(rows, shapes), strict=True):
                table.data = view.copy_(table.detach())
            self.rows[group] = rows

    def freeze(self, groups: Collection[str]) -> None:
        """Keep these groups as they are from now on: they get no gradients."""
        self.frozen = frozenset(groups)
        for name, group in self.table_group.items():
            if group in self.frozen:
                self.get_parameter(name).requires_grad_(False)

    def joined(self) -> dict[str, Tensor]:
        """Return the same as `rows`, put together anew, so that the tables get gradients."""
        return {
            group: torch.cat([self.get_parameter(name).flatten(1) for name in names], dim=1)
            for group, names in self._tables_of.items()
        }

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.tie()
        return self
