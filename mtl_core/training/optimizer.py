"""Adam and AdamW for weights in banks: a step moves the banks it used, and nothing else.

Every table has its banks (for the word vectors: its words) along the first dimension. The moments
have the shape of the table; the number of steps, from which the bias is corrected, is counted for
each bank. So a bank that a step did not use stays as it is to the last bit, and a task's own banks
learn as they would if the task were trained alone. Dense Adam differs: it would move idle heads and
rare words further on old momentum (as the published code did), and count the steps of others as
theirs. Where every bank is used in every step, both are the same.

Here stands what an optimiser knows of its tables; steps are taken in `moves.py`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mtl_core.model.banks import neighbours
from mtl_core.training.row_adam import Place, State

_KEPT = 1024  # views of so many sets of banks; steps mostly ask for the same ones again


@dataclass(frozen=True, kw_only=True)
class AdamSettings:
    """What stays the same through a training.

    Args:
        decoupled: Weight decay as in AdamW; else added to the gradient (L2), as in Adam.
        clip_norm: Largest norm of all gradients of a step together; None: no clipping.
    """

    decoupled: bool = False
    weight_decay: float = 0.0
    clip_norm: float | None = None


class Slices(NamedTuple):
    """Views of the banks that move: parameters, both moments, and the step count of each."""

    parameters: list[Tensor]
    means: list[Tensor]
    squares: list[Tensor]
    steps: list[Tensor]


class BankAdam:
    """The optimiser of the tables of one model.

    Args:
        tables: Parameters by name, banks first; they are updated in place.
        by_row: Tables whose banks are so many that they are gathered (words, n-grams).
        decays: Weight decay of those of these tables that have one of their own.
    """

    def __init__(
        self,
        tables: Mapping[str, Tensor],
        settings: AdamSettings,
        *,
        by_row: Collection[str] = (),
        decays: Mapping[str, float] | None = None,
    ) -> None:
        self.settings = settings
        self.decays = dict(decays or {})
        self.by_row = frozenset(by_row)
        self.tables = {name: table.detach() for name, table in tables.items()}
        self.means = {name: torch.zeros_like(table) for name, table in self.tables.items()}
        self.squares = {name: torch.zeros_like(table) for name, table in self.tables.items()}
        self.steps = {  # float32, as the fused call wants
            name: torch.zeros(len(table), device=table.device)
            for name, table in self.tables.items()
        }
        self._views: dict[tuple[str, tuple[int, ...]], Slices] = {}
        self._runs: dict[tuple[str, tuple[int, ...]], list[tuple[int, int, Place]]] = {}
        self._rows: dict[str, Place] = {}

    def state_dict(self) -> dict[str, Tensor]:
        """Return moments and step counts by name; the tensors are not copied."""
        state = {f"steps/{name}": steps for name, steps in self.steps.items()}
        state |= {f"means/{name}": mean for name, mean in self.means.items()}
        return state | {f"squares/{name}": square for name, square in self.squares.items()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        for name, tensor in self.state_dict().items():
            tensor.copy_(state[name])

    def rows_of(self, name: str) -> Place:
        """Return a table and what is known of it as rows of numbers, which are views."""
        if name not in self._rows:
            kinds = (self.tables[name], self.means[name], self.squares[name], self.steps[name])
            self._rows[name] = Place.of(State(*(kind.view(len(kind), -1) for kind in kinds)))
        return self._rows[name]

    def runs_of(self, name: str, banks: tuple[int, ...]) -> list[tuple[int, int, Place]]:
        """Return these banks in runs of those that stand together: from and to among the banks, and
        their rows, which are views."""
        key = (name, banks)
        if key not in self._runs:
            if len(self._runs) == _KEPT:
                self._runs.clear()
            state = self.rows_of(name).state
            states = [
                (start, stop, State(*(kind[banks[start] : banks[stop - 1] + 1] for kind in state)))
                for start, stop in neighbours(banks)
            ]
            self._runs[key] = [(start, stop, Place.of(of)) for start, stop, of in states]
        return self._runs[key]

    def slices_of(self, name: str, banks: tuple[int, ...]) -> Slices:
        """Return views of these banks of a table."""
        key = (name, banks)
        if key not in self._views:
            if len(self._views) == _KEPT:
                self._views.clear()
            self._views[key] = Slices(
                [self.tables[name][bank : bank + 1] for bank in banks],
                [self.means[name][bank : bank + 1] for bank in banks],
                [self.squares[name][bank : bank + 1] for bank in banks],
                [self.steps[name][bank] for bank in banks],
            )
        return self._views[key]
