"""What the minibatches of several models use, in leaves that they have in common.

`MultiTaskEncoder.narrow_all` makes leaves for one model. On a GPU, where each small operation costs
a launch, the banks of a group are put together once for all models, and so are their words: a pass
then takes what its runs use out of one tensor, and one tensor holds the gradients of all.
Shapes: G banks of a group, S numbers of a bank, U used words.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

import numpy as np
import torch
from torch import Tensor

from mtl_core.data.minibatch import Minibatch
from mtl_core.kernels.usable import usable
from mtl_core.model.banks import Narrowed, Use, neighbours
from mtl_core.model.encoder import MultiTaskEncoder

_Member = tuple[MultiTaskEncoder, Use]
_Spans = dict[str, tuple[int, int]]  # by group: which rows are one model's


def narrow_as_one(
    models: Sequence[MultiTaskEncoder], batches: Sequence[Sequence[Minibatch]]
) -> list[list[Narrowed]]:
    """Return the same as `narrow_all` of each model with its minibatches.

    Args:
        models: Of one family.
    """
    members = [(m, m.use_of(mine)) for m, mine in zip(models, batches, strict=True)]
    leaves: list[dict[str, Tensor]] = [{} for _ in members]
    own: list[_Spans] = [{} for _ in members]
    # Models stand in the order in which a pass lays out their texts, so that most of what a layer
    # uses is found side by side.
    order = sorted(range(len(members)), key=lambda at: batches[at][0].words.shape[1])
    for (group, _, frozen), users in _alike(members, order).items():
        leaf = torch.cat([piece for at in users for piece in _pieces(*members[at], group)])
        counts = [len(members[at][1].banks[group]) for at in users]
        _share(group, leaf.requires_grad_(not frozen), users, counts, leaves, own)
    used: list[dict[str, Tensor]] = [dict(use.used) for _, use in members]
    _narrow_words(members, order, leaves, own, used)
    return [
        _narrowed(*member, mine, leaves[at], own[at], used[at])
        for at, (member, mine) in enumerate(zip(members, batches, strict=True))
    ]


def _alike(
    members: Sequence[_Member], order: Sequence[int]
) -> dict[tuple[str, int, bool], list[int]]:
    """Return who uses banks of each group, of one width (those of positions differ), that move or
    are frozen."""
    found: dict[tuple[str, int, bool], list[int]] = {}
    for at in order:
        model, use = members[at]
        for group in use.banks:
            key = (group, model.rows[group].shape[1], group in model.frozen)
            found.setdefault(key, []).append(at)
    return found


def _pieces(model: MultiTaskEncoder, use: Use, group: str) -> list[Tensor]:
    """Return the used banks of a group: those that stand together as one view, of none an empty
    one."""
    rows, numbers = model.rows[group].detach(), use.banks[group]
    runs = [rows[numbers[start] : numbers[stop - 1] + 1] for start, stop in neighbours(numbers)]
    return runs or [rows[:0]]


def _share(
    group: str,
    leaf: Tensor,
    users: Sequence[int],
    counts: Sequence[int],
    leaves: Sequence[dict[str, Tensor]],
    own: Sequence[_Spans],
) -> None:
    """Give each user the leaf, and say which of its rows are the user's own."""
    for at, span in zip(users, pairwise(accumulate(counts, initial=0)), strict=True):
        leaves[at][group], own[at][group] = leaf, span


def _narrow_words(
    members: Sequence[_Member],
    order: Sequence[int],
    leaves: Sequence[dict[str, Tensor]],
    own: Sequence[_Spans],
    used: Sequence[dict[str, Tensor]],
) -> None:
    """Add the used words of all models whose word vectors move."""
    users, rows = [], []
    for at in order:
        words = members[at][1].words
        if words is not None:
            users.append(at)
            rows.append(words)
    if not users:
        return
    tables = [members[at][0].words.detach() for at in users]
    counts = [len(mine) for mine in rows]
    numbers = torch.from_numpy(np.concatenate(rows)).to(tables[0].device, non_blocking=True)
    leaf = _words(tables, rows).requires_grad_()
    _share("words", leaf, users, counts, leaves, own)
    for at, mine in zip(users, torch.split(numbers, counts), strict=True):
        used[at]["words"] = mine


def _words(tables: Sequence[Tensor], rows: Sequence[np.ndarray]) -> Tensor:
    """Return these rows of all tables, (U, E)."""
    if usable(tables[0].device, tables[0].dtype):
        from mtl_core.kernels.gather import gather_rows

        width, size = tables[0].shape[1], tables[0].element_size()
        pairs = zip(tables, rows, strict=True)
        starts = [table.data_ptr() + mine * (width * size) for table, mine in pairs]
        return gather_rows(np.concatenate(starts), width, tables[0].device)
    given = [torch.from_numpy(mine).to(tables[0].device, non_blocking=True) for mine in rows]
    pairs_of_tensors = zip(tables, given, strict=True)
    return torch.cat([table.index_select(0, mine) for table, mine in pairs_of_tensors])


def _narrowed(
    model: MultiTaskEncoder,
    use: Use,
    batches: Sequence[Minibatch],
    leaves: dict[str, Tensor],
    own: Mapping[str, tuple[int, int]],
    used: dict[str, Tensor],
) -> list[Narrowed]:
    first = own["words"][0] if "words" in own else 0
    lookups: Sequence[object] = [None] * len(batches)
    if model.wide_layout is not None:
        used["wide"], leaves["wide"], lookups = model.narrow_wide(batches)
    return [
        Narrowed(used, leaves, use.places, places + first, lookup, own)  # type: ignore[arg-type]
        for places, lookup in zip(use.word_places, lookups, strict=True)
    ]
