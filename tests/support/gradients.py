"""The gradients of what a minibatch uses, table by table."""

import torch
from torch import Tensor

from mtl_core.model.banks import Narrowed, side_by_side
from mtl_core.model.encoder import MultiTaskEncoder


def gradients_by_table(model: MultiTaskEncoder, narrowed: Narrowed) -> dict[str, Tensor]:
    """Return the gradient of each table's used banks, out of those of its group."""
    found = {}
    for group, leaf in narrowed.tables.items():
        names = [name for name, of in model.table_group.items() if of == group]
        shapes = [tuple(model.get_parameter(name).shape[1:]) for name in names]
        gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        found |= dict(zip(names, side_by_side(gradient, shapes), strict=True))
    return found
