"""Adam and AdamW for weights in banks: a step moves the banks it used, and nothing else.

Every table has its banks (for the word vectors: its words) along the first dimension. The moments
have the shape of the table; the number of steps, from which the bias is corrected, is counted for
each bank. So a bank that a step did not use stays as it is to the last bit, and a task's own banks
learn as they would if the task were trained alone. Dense Adam differs: it would move idle heads and
rare words further on old momentum (as the published code did), and count the steps of others as
theirs. Where every bank is used in every step, both are the same (Kingma and Ba, 2015; Loshchilov
and Hutter, 2019).

Banks are updated in place through views by one fused call; words, of which a step has some hundreds
out of many thousands, are gathered, updated and put back.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


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
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8


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
        groups: Group of each table; the tables of a group are used by the same banks.
        by_row: Groups whose banks are so many that they are gathered (the words).
    """

    def __init__(
        self,
        tables: Mapping[str, Tensor],
        groups: Mapping[str, str],
        settings: AdamSettings,
        *,
        by_row: Collection[str] = (),
    ) -> None:
        self.settings = settings
        self.by_row = frozenset(by_row)
        self.tables = {name: table.detach() for name, table in tables.items()}
        self.groups = {name: groups[name] for name in self.tables}
        self.means = {name: torch.zeros_like(table) for name, table in self.tables.items()}
        self.squares = {name: torch.zeros_like(table) for name, table in self.tables.items()}
        self.steps: dict[str, Tensor] = {}
        for name, table in self.tables.items():
            count = torch.zeros(len(table), device=table.device)  # float32, as the fused call wants
            self.steps.setdefault(self.groups[name], count)
        self._views: dict[tuple[str, tuple[int, ...]], _Slices] = {}

    @torch.no_grad()
    def step(
        self,
        gradients: Mapping[str, Tensor],
        *,
        learning_rate: float,
        banks: Mapping[str, Sequence[int]],
        row_learning_rate: float = 0.0,
        rows: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Move the banks of this step; the gradients may be overwritten.

        Args:
            gradients: For each table that has one, the gradient of its used banks, (U, ...).
            banks: For each group, the numbers of the banks that the gradients belong to, (U,).
            row_learning_rate: Of the groups of `by_row`.
            rows: The same as `banks` for the groups of `by_row`, int64 tensors without repeats.
        """
        scale = self._clipping_scale(list(gradients.values()))
        by_row = [name for name in gradients if self.groups[name] in self.by_row]
        by_bank = {name: g for name, g in gradients.items() if name not in by_row}
        used = {self.groups[name]: tuple(banks[self.groups[name]]) for name in by_bank}
        if used:
            counts = [self.steps[group][bank] for group, of in used.items() for bank in of]
            torch._foreach_add_(counts, 1.0)
            self._move_banks(by_bank, used, learning_rate, scale)
        for group in {self.groups[name] for name in by_row}:
            self.steps[group][(rows or {})[group]] += 1
        for name in by_row:
            gradient = gradients[name] if scale is None else gradients[name] / scale
            self._move_rows(name, gradient, (rows or {})[self.groups[name]], row_learning_rate)

    def state_dict(self) -> dict[str, Tensor]:
        """Return moments and step counts by name; the tensors are not copied."""
        state = {f"steps/{group}": steps for group, steps in self.steps.items()}
        state |= {f"means/{name}": mean for name, mean in self.means.items()}
        return state | {f"squares/{name}": square for name, square in self.squares.items()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        for name, tensor in self.state_dict().items():
            tensor.copy_(state[name])

    def _clipping_scale(self, gradients: list[Tensor]) -> Tensor | None:
        """Return what the gradients are to be divided by, at least 1; None where none are."""
        if self.settings.clip_norm is None or not gradients:
            return None
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        return torch.clamp((norm + 1e-6) / self.settings.clip_norm, min=1.0)

    def _move_banks(
        self,
        gradients: Mapping[str, Tensor],
        used: Mapping[str, tuple[int, ...]],
        learning_rate: float,
        scale: Tensor | None,
    ) -> None:
        slices = _Slices([], [], [], [])
        flat: list[Tensor] = []
        for name, gradient in gradients.items():
            for mine, more in zip(slices, self._slices(name, used[self.groups[name]]), strict=True):
                mine.extend(more)
            gradient = gradient.contiguous()  # the kernel assumes it
            flat.extend(torch.split(gradient, 1) if len(gradient) > 1 else (gradient,))
        adam = torch._fused_adamw_ if self.settings.decoupled else torch._fused_adam_
        adam(
            slices.parameters,
            flat,
            slices.means,
            slices.squares,
            [],
            slices.steps,
            lr=learning_rate,
            beta1=self.settings.beta1,
            beta2=self.settings.beta2,
            weight_decay=self.settings.weight_decay,
            eps=self.settings.eps,
            amsgrad=False,
            maximize=False,
            grad_scale=scale,
        )

    def _slices(self, name: str, banks: tuple[int, ...]) -> _Slices:
        """Return views of these banks of a table; kept, since steps ask for the same ones again."""
        key = (name, banks)
        if key not in self._views:
            steps = self.steps[self.groups[name]]
            self._views[key] = _Slices(
                [self.tables[name][bank : bank + 1] for bank in banks],
                [self.means[name][bank : bank + 1] for bank in banks],
                [self.squares[name][bank : bank + 1] for bank in banks],
                [steps[bank] for bank in banks],
            )
        return self._views[key]

    def _move_rows(self, name: str, gradient: Tensor, rows: Tensor, learning_rate: float) -> None:
        """Adam by hand on some rows of a two-dimensional table; each by its own step count."""
        s = self.settings
        table, means, squares = self.tables[name], self.means[name], self.squares[name]
        values = table[rows]  # (U, E)
        if s.decoupled:
            values.mul_(1 - learning_rate * s.weight_decay)
        elif s.weight_decay:
            gradient = gradient.add(values, alpha=s.weight_decay)
        mean = means[rows].lerp_(gradient, 1 - s.beta1)
        square = squares[rows].mul_(s.beta2).addcmul_(gradient, gradient, value=1 - s.beta2)
        steps = self.steps[self.groups[name]][rows].double()  # 1 - 0.999^t cancels in float32
        rate = (learning_rate / (1 - s.beta1**steps)).to(table.dtype)  # (U,)
        correction = (1 - s.beta2**steps).sqrt().to(table.dtype)
        denominator = square.sqrt().div_(correction[:, None]).add_(s.eps)
        values.sub_((mean / denominator).mul_(rate[:, None]))
        means[rows], squares[rows], table[rows] = mean, square, values
