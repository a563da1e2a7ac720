"""Adam and AdamW for weights in banks: a step moves the banks it used, and nothing else.

Every table has its banks (for the word vectors: its words) along the first dimension. The moments
have the shape of the table; the number of steps, from which the bias is corrected, is counted for
each bank. So a bank that a step did not use stays as it is to the last bit, and a task's own banks
learn as they would if the task were trained alone. Dense Adam differs: it would move idle heads and
rare words further on old momentum (as the published code did), and count the steps of others as
theirs. Where every bank is used in every step, both are the same.

The optimisers of many models move together (`move_together`). On a GPU banks and words of all of
them are rows, moved at once (`row_adam.py`). On a CPU that gains nothing: there only words are, of
which a step has some hundreds out of many thousands, and banks move in place through views, by one
fused call for all banks of a model with one learning rate.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mtl_core.training import row_adam
from mtl_core.training.row_adam import (
    BETA1,
    BETA2,
    COPIES,
    EPS,
    Pace,
    Place,
    Rows,
    State,
    move_rows,
)

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


class _Slices(NamedTuple):
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
        self._views: dict[tuple[str, tuple[int, ...]], _Slices] = {}
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
                for start, stop in _neighbours(banks)
            ]
            self._runs[key] = [(start, stop, Place.of(of)) for start, stop, of in states]
        return self._runs[key]

    def slices_of(self, name: str, banks: tuple[int, ...]) -> _Slices:
        """Return views of these banks of a table."""
        key = (name, banks)
        if key not in self._views:
            if len(self._views) == _KEPT:
                self._views.clear()
            self._views[key] = _Slices(
                [self.tables[name][bank : bank + 1] for bank in banks],
                [self.means[name][bank : bank + 1] for bank in banks],
                [self.squares[name][bank : bank + 1] for bank in banks],
                [self.steps[name][bank] for bank in banks],
            )
        return self._views[key]


class Move(NamedTuple):
    """A step of one optimiser; all mappings are by table.

    Args:
        gradients: Of the used banks of each table that has one, (U, ...); may be overwritten.
        banks: The numbers of these banks; of tables `by_row` an int64 tensor without repeats, (U,).
        learning_rates: Of each table.
    """

    optimizer: BankAdam
    gradients: Mapping[str, Tensor]
    banks: Mapping[str, Sequence[int] | Tensor]
    learning_rates: Mapping[str, float]


@torch.no_grad()
def move_together(moves: Sequence[Move], *, as_one: bool) -> None:
    """Take the steps of several optimisers, one of each.

    Args:
        as_one: By operations whose number does not grow with that of the optimisers.
    """
    if as_one:
        move_rows(_all_rows(moves, _clipping_scales(moves)))
        return
    for move in moves:
        (scale,) = _clipping_scales([move])
        _move_banks(move, scale)
        for name in move.gradients:
            if name in move.optimizer.by_row:
                move_rows(_rows(move, name, scale))


def bytes_at_work(moves: Sequence[Move], *, as_one: bool) -> int:
    """Return about how much memory `move_together` takes besides."""
    if as_one:
        gradients = [gradient for move in moves for gradient in move.gradients.values()]
        return row_adam.bytes_at_work(gradients)
    by_row = [
        gradient
        for move in moves
        for name, gradient in move.gradients.items()
        if name in move.optimizer.by_row
    ]
    return max((COPIES * gradient.nbytes for gradient in by_row), default=0)


def _all_rows(moves: Sequence[Move], scales: Sequence[Tensor | None]) -> list[Rows]:
    """Return the rows of all tables of all moves."""
    pairs = zip(moves, scales, strict=True)
    found = [_rows(move, name, scale) for move, scale in pairs for name in move.gradients]
    return [rows for of_table in found for rows in of_table]


def _clipping_scales(moves: Sequence[Move]) -> list[Tensor | None]:
    """Return what the gradients of each are to be divided by, at least 1; None: all by 1."""
    limits = [move.optimizer.settings.clip_norm or math.inf for move in moves]
    if not moves or min(limits) == math.inf:
        return [None] * len(moves)
    gradients = [gradient for move in moves for gradient in move.gradients.values()]
    of_gradients = torch.stack(torch._foreach_norm(gradients))
    of_moves = torch.split(of_gradients, [len(move.gradients) for move in moves])
    norms = torch.stack(torch._foreach_norm(of_moves))
    most = torch.tensor(limits, dtype=norms.dtype).to(norms.device, non_blocking=True)
    return list(torch.clamp((norms + 1e-6) / most, min=1.0).unbind())


def _rows(move: Move, name: str, scale: Tensor | None) -> list[Rows]:
    """Return the rows of a table that move, in runs of those that stand together."""
    optimizer, gradient, banks = move.optimizer, move.gradients[name], move.banks[name]
    decay = optimizer.decays.get(name, optimizer.settings.weight_decay)
    rate = move.learning_rates[name]
    if optimizer.settings.decoupled:
        pace = Pace(rate, scale, shrink=1 - rate * decay)
    else:
        pace = Pace(rate, scale, decay=decay)
    gradient = gradient.reshape(gradient.shape[0], -1)
    if isinstance(banks, Tensor):
        return [Rows(optimizer.rows_of(name), banks, gradient, pace)]
    runs = optimizer.runs_of(name, tuple(banks))
    if len(runs) == 1:
        return [Rows(runs[0][2], None, gradient, pace)]
    return [Rows(place, None, gradient[start:stop], pace) for start, stop, place in runs]


def _neighbours(banks: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the runs of numbers that follow each other: from and to among them."""
    breaks = [at for at in range(1, len(banks)) if banks[at] != banks[at - 1] + 1]
    return list(zip([0, *breaks], [*breaks, len(banks)], strict=True))


def _move_banks(move: Move, scale: Tensor | None) -> None:
    """Move the banks of tables that are not `by_row`, those of one learning rate by one call."""
    optimizer = move.optimizer
    names = [name for name in move.gradients if name not in optimizer.by_row]
    slices = {name: optimizer.slices_of(name, tuple(move.banks[name])) for name in names}
    if names:
        torch._foreach_add_([count for of in slices.values() for count in of.steps], 1.0)
    for rate in dict.fromkeys(move.learning_rates[name] for name in names):
        alike = [name for name in names if move.learning_rates[name] == rate]
        views = _Slices([], [], [], [])
        gradients: list[Tensor] = []
        for name in alike:
            for mine, more in zip(views, slices[name], strict=True):
                mine.extend(more)
            gradient = move.gradients[name].contiguous()  # the kernel assumes it
            gradients.extend(torch.split(gradient, 1) if len(gradient) > 1 else (gradient,))
        _call_fused(optimizer.settings, views, gradients, rate, scale)


def _call_fused(
    settings: AdamSettings,
    views: _Slices,
    gradients: list[Tensor],
    rate: float,
    scale: Tensor | None,
) -> None:
    adam = torch._fused_adamw_ if settings.decoupled else torch._fused_adam_
    adam(
        views.parameters,
        gradients,
        views.means,
        views.squares,
        [],
        views.steps,
        lr=rate,
        beta1=BETA1,
        beta2=BETA2,
        weight_decay=settings.weight_decay,
        eps=EPS,
        amsgrad=False,
        maximize=False,
        grad_scale=scale,
    )
