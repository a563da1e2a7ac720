"""What a step is trained on: the mean cross-entropy of each task, and the tasks' gradients of it.

Shapes: N texts of a step in k rows of one task each, C classes, P shared parameters; R rows of
several models' steps together.
"""

from collections import Counter
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.data.batches import Minibatch
from mtl_core.model.banks import Narrowed
from mtl_core.model.plan import SharingPlan


def task_losses(logits: Tensor, batch: Minibatch) -> Tensor:
    """Return the mean cross-entropy of each row's task over its texts, in nats; (k,).

    Args:
        logits: (N, C), -inf for the classes that a task does not have.
    """
    return row_losses([logits], [batch])


def row_losses(logits: Sequence[Tensor], batches: Sequence[Minibatch]) -> Tensor:
    """Return the same for several models' steps, whose logits have the same classes; (R,)."""
    labels = [batch.labels for batch in batches]
    sizes = [size for batch in batches for size in batch.sizes]
    if len(sizes) == 1:
        return F.cross_entropy(logits[0], labels[0]).reshape(1)
    alone = len(batches) == 1
    per_text = F.cross_entropy(
        logits[0] if alone else torch.cat(list(logits)),
        labels[0] if alone else torch.cat(labels),
        reduction="none",
    )
    lengths = torch.tensor(sizes).to(per_text.device, non_blocking=True)
    # `unsafe` leaves out a check of the lengths, for which a GPU would have to be waited for.
    return torch.segment_reduce(per_text, "mean", lengths=lengths, unsafe=True)


def shared_gradients(
    losses: Tensor, batch: Minibatch, narrowed: Narrowed, plan: SharingPlan
) -> Tensor:
    """Return the gradient of each loss over the banks that two tasks of the step share, (k, P).

    Word vectors are left out: they are most of the numbers and hardly any two texts share them.
    """
    users = Counter(
        (group, bank)
        for task in set(batch.tasks)
        for group, banks in plan.used_banks([task]).items()
        for bank in banks
    )
    leaves, shared = [], []
    for group, leaf in narrowed.tables.items():
        used = narrowed.places.get(group, {})  # the words have none
        places = [place for bank, place in used.items() if users[group, bank] > 1]
        if places and leaf.requires_grad:
            leaves.append(leaf)
            shared.append(places)
    rows = []
    for loss in losses:
        found = torch.autograd.grad(loss, leaves, retain_graph=True, materialize_grads=True)
        rows.append(
            torch.cat([g[places].flatten() for g, places in zip(found, shared, strict=True)])
        )
    return torch.stack(rows)
