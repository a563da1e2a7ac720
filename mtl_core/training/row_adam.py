"""Adam and AdamW on rows of many tables at once, each row by its own step count and pace.

The rows are gathered from tables of any number of models, go through the same few operations
together, and are put back. So a GPU is given as many operations for 64 models as for one, except to
gather and put back rows that do not stand together (words); a kernel (`kernels/adam.py`) finds them
where they are. Where rows of one table are alone they
need no columns of numbers, which a CPU would notice.
Shapes: U rows of one table, R rows together, S numbers of a row.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mtl_core.kernels.usable import usable

if TYPE_CHECKING:
    from mtl_core.kernels.adam import Table  # which imports triton

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
# Numbers that are gathered at a time. More at a time gain nothing, as a GPU then takes longer for
# an operation than to begin it, and all that is gathered is in memory twice.
_TOGETHER = 1 << 23
COPIES = 8  # of what is gathered: parameters, moments, gradient, and what is computed from them


class State(NamedTuple):
    """A table with what an optimiser knows of it: (G, S) each, and (G, 1)."""

    values: Tensor
    means: Tensor
    squares: Tensor
    steps: Tensor


class Place(NamedTuple):
    """A table that an optimiser moves, and where the four parts of its state are in memory."""

    state: State
    addresses: tuple[int, ...]

    @classmethod
    def of(cls, state: State) -> "Place":
        return cls(state, tuple(kind.data_ptr() for kind in state))


class Pace(NamedTuple):
    """How rows move: numbers for all of them, or columns of a number for each, (R, 1).

    Args:
        scale: What the gradient is divided by first; None: nothing.
        shrink: What the rows are multiplied by first (decoupled weight decay).
        decay: Share of the rows that is added to the gradient (L2).
    """

    learning_rate: Tensor | float
    scale: Tensor | None = None
    shrink: Tensor | float = 1.0
    decay: Tensor | float = 0.0


class Rows(NamedTuple):
    """Rows of one table, to be moved.

    Args:
        where: Their numbers without repeats, int64; None: the table has no others.
        gradient: (U, S).
        pace: In numbers.
    """

    place: Place
    where: Tensor | None
    gradient: Tensor
    pace: Pace


def move_rows(rows: Sequence[Rows]) -> None:
    """Move all of them, in place; each row is named once."""
    if rows and usable(rows[0].gradient.device, rows[0].gradient.dtype):
        from mtl_core.kernels.adam import move

        move([_as_table(of) for of in rows], BETA1, BETA2, EPS)
        return
    for some in _alike(rows):
        state = _gather(some)
        given = [of.gradient for of in some]
        _move(state, torch.cat(given) if len(given) > 1 else given[0], _pace(some))
        _put(some, state)


def bytes_at_work(gradients: Sequence[Tensor]) -> int:
    """Return about how much memory `move_rows` takes besides for rows of these gradients."""
    sizes = [gradient.nbytes for gradient in gradients]
    together = min(sum(sizes), _TOGETHER * gradients[0].element_size()) if gradients else 0
    return COPIES * max(together, max(sizes, default=0))


def _as_table(rows: Rows) -> "Table":
    from mtl_core.kernels.adam import Table

    rate, scale, shrink, decay = rows.pace
    gradient = rows.gradient.contiguous()
    return Table(rows.place.addresses, rows.where, gradient, rate, scale, shrink, decay)  # type: ignore[arg-type]


def _alike(rows: Sequence[Rows]) -> Iterator[list[Rows]]:
    """Yield those of one width and type, no more at a time than is useful."""
    kinds: dict[tuple[int, torch.dtype], list[Rows]] = {}
    for of in rows:
        kinds.setdefault((of.gradient.shape[1], of.gradient.dtype), []).append(of)
    for kind in kinds.values():
        some, count = [kind[0]], kind[0].gradient.numel()
        for of in kind[1:]:
            if count + of.gradient.numel() > _TOGETHER:
                yield some
                some, count = [], 0
            some.append(of)
            count += of.gradient.numel()
        yield some


def _gather(rows: Sequence[Rows]) -> State:
    kinds = zip(*(_taken(of) for of in rows), strict=True)
    return State(*(torch.cat(kind) if len(kind) > 1 else kind[0] for kind in kinds))


def _taken(rows: Rows) -> list[Tensor]:
    if rows.where is None:
        return list(rows.place.state)
    return [kind.index_select(0, rows.where) for kind in rows.place.state]


def _put(rows: Sequence[Rows], state: State) -> None:
    """Write what was gathered back to where it is from."""
    parts = [tuple(state)]
    if len(rows) > 1:
        sizes = [of.gradient.shape[0] for of in rows]
        parts = list(zip(*(torch.split(kind, sizes) for kind in state), strict=True))
    places: list[Tensor] = []
    new: list[Tensor] = []
    for of, part in zip(rows, parts, strict=True):
        if of.where is None:
            places.extend(of.place.state)
            new.extend(part)
        else:
            for kind, changed in zip(of.place.state, part, strict=True):
                kind.index_copy_(0, of.where, changed)
    if places:
        torch._foreach_copy_(places, new)


def _pace(rows: Sequence[Rows]) -> Pace:
    if len(rows) == 1:
        return rows[0].pace
    like, paces = rows[0].gradient, [of.pace for of in rows]
    numbers = [(of.learning_rate, of.shrink, of.decay, place) for place, of in enumerate(paces)]
    repeated = np.repeat(np.array(numbers), [of.gradient.shape[0] for of in rows], axis=0)
    columns = torch.from_numpy(repeated).to(like.device, non_blocking=True)
    rate, shrink, decay, places = torch.split(columns, 1, dim=1)
    scales = [of.scale for of in paces if of.scale is not None]
    assert len(scales) in (0, len(rows))
    return Pace(
        rate,
        torch.stack(scales)[places.long()] if scales else None,
        shrink.to(like.dtype) if any(of.shrink != 1 for of in paces) else 1.0,
        decay.to(like.dtype) if any(of.decay for of in paces) else 0.0,
    )


def _move(state: State, gradient: Tensor, pace: Pace) -> None:
    """Adam, in place (Kingma and Ba, 2015; with `shrink`, Loshchilov and Hutter, 2019)."""
    values, mean, square, steps = state
    if pace.scale is not None:
        gradient = gradient / pace.scale
    if isinstance(pace.shrink, Tensor) or pace.shrink != 1:
        values.mul_(pace.shrink)
    if isinstance(pace.decay, Tensor):
        gradient = torch.addcmul(gradient, values, pace.decay)
    elif pace.decay:
        gradient = gradient.add(values, alpha=pace.decay)
    mean.lerp_(gradient, 1 - BETA1)
    square.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
    count = steps.add_(1).double()  # 1 - 0.999^t cancels in float32
    rate = (pace.learning_rate / (1 - BETA1**count)).to(values.dtype)
    correction = (1 - BETA2**count).sqrt().to(values.dtype)
    denominator = square.sqrt().div_(correction).add_(EPS)
    values.sub_((mean / denominator).mul_(rate))
