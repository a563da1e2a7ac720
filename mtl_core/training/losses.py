"""What a step is trained on: the mean loss of each task, and the tasks' gradients of it.

Shapes: I items (texts, or words that are tagged) of a step in k rows of one task each, C classes, P
shared parameters; R rows of several models' steps together.
"""

from collections import Counter
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.data.encoded import TaskInfo
from mtl_core.data.minibatch import Minibatch
from mtl_core.data.targets import MISSING, WITH_CLASSES
from mtl_core.model.banks import Narrowed
from mtl_core.model.plan import SharingPlan

_NO_CLASS = int(MISSING)


def task_losses(outputs: Tensor, batch: Minibatch, tasks: Sequence[TaskInfo]) -> Tensor:
    """Return the mean loss of each row's task over its texts, or its words; (k,).

    Cross-entropy in nats of classes and tags; binary cross-entropy in nats of each of several
    labels; the squared error of values, in variances of the train values. What has no label counts
    nothing, and the loss of a row without any label is 0.

    Args:
        outputs: (I, C), -inf for the classes that a task does not have; an item is a text, or a
            word of a text that is tagged.
    """
    return row_losses([outputs], [batch], tasks)


def row_losses(
    outputs: Sequence[Tensor], batches: Sequence[Minibatch], tasks: Sequence[TaskInfo]
) -> Tensor:
    """Return the same for several models' steps, whose outputs are as wide; (R,)."""
    rows = [task for batch in batches for task in batch.tasks]
    if all(tasks[task].kind in WITH_CLASSES for task in set(rows)):
        return _class_losses(outputs, batches)
    losses = []
    for of_part, batch in zip(outputs, batches, strict=True):
        sizes = _n_items(batch, tasks)
        of_rows = _together([batch.labels], of_part.device)
        items, targets = torch.split(of_part, sizes), torch.split(of_rows, _n_targets(batch))
        losses += [
            _loss(row, labels, tasks[task])
            for task, row, labels in zip(batch.tasks, items, targets, strict=True)
        ]
    return torch.stack(losses)


def _class_losses(logits: Sequence[Tensor], batches: Sequence[Minibatch]) -> Tensor:
    """Return the mean cross-entropy of each row, all in one go."""
    labels = _together([batch.labels for batch in batches], logits[0].device)
    alone = len(batches) == 1
    all_labelled = all(batch.all_labelled for batch in batches)
    if alone and len(batches[0].tasks) == 1 and all_labelled:
        return F.cross_entropy(logits[0], labels).reshape(1)
    per_item = F.cross_entropy(
        logits[0] if alone else torch.cat(list(logits)),
        labels,
        reduction="none",
        ignore_index=_NO_CLASS,
    )
    sizes = torch.tensor([size for batch in batches for size in _n_targets(batch)])
    sizes = sizes.to(per_item.device, non_blocking=True)
    if all_labelled:
        # `unsafe` leaves out a check of the sizes, for which a GPU would have to be waited for.
        return torch.segment_reduce(per_item, "mean", lengths=sizes, unsafe=True)
    given = labels != _NO_CLASS
    sums, counts = (
        torch.segment_reduce(values, "sum", lengths=sizes, unsafe=True)
        for values in (per_item, given.to(per_item.dtype))
    )
    return sums / counts.clamp(min=1)


def _together(labels: Sequence[Tensor], device: torch.device) -> Tensor:
    """Return all labels, one after the other, on the device of the outputs."""
    joined = torch.cat(list(labels)) if len(labels) > 1 else labels[0]
    return joined.to(device, non_blocking=True)


def _loss(outputs: Tensor, targets: Tensor, task: TaskInfo) -> Tensor:
    """Return the mean loss of one row, whose targets are float32."""
    if task.kind == "regression":
        given = ~targets.isnan()
        errors = (outputs[:, 0] - targets.nan_to_num()) ** 2
        return (errors * given).sum() / given.sum().clamp(min=1)
    if task.kind == "multilabel":
        targets = targets.view(-1, task.n_outputs)
        given = targets >= 0
        losses = F.binary_cross_entropy_with_logits(
            outputs[:, : task.n_outputs], targets.clamp(min=0), reduction="none"
        )
        return (losses * given).sum() / given.sum().clamp(min=1)
    labels = targets.long()
    losses = F.cross_entropy(outputs, labels, reduction="sum", ignore_index=_NO_CLASS)
    return losses / (labels != _NO_CLASS).sum().clamp(min=1)


def _n_targets(batch: Minibatch) -> list[int]:
    return list(batch.n_labels or batch.sizes)


def _n_items(batch: Minibatch, tasks: Sequence[TaskInfo]) -> list[int]:
    """Return the rows of outputs that each row of the step has."""
    per_item = [
        tasks[task].n_outputs if tasks[task].kind == "multilabel" else 1 for task in batch.tasks
    ]
    return [count // each for count, each in zip(_n_targets(batch), per_item, strict=True)]


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
        first = narrowed.first(group)
        places = [first + place for bank, place in used.items() if users[group, bank] > 1]
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
