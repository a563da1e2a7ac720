"""Task losses by hand, and the gradients of what tasks share."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from mtl_core.data.encoded import EncodedCorpus, TaskInfo
from mtl_core.data.minibatch import Minibatch, Row, collate
from mtl_core.training.config import TrialConfig
from mtl_core.training.losses import shared_gradients, task_losses
from mtl_core.training.models import build_model

LOGITS = torch.tensor([[0.0, 0.0, -torch.inf], [1.0, 0.0, -torch.inf], [0.0, 0.0, 0.0]])
LABELS = {"x": ("a", "b"), "y": ("a", "b"), "z": ("a", "b", "c")}
CLASSES = [TaskInfo(name, "classification", "accuracy", of) for name, of in LABELS.items()]


def make_batch(tasks: tuple[int, ...], sizes: tuple[int, ...], labels: list[int]) -> Minibatch:
    n = len(labels)
    words = torch.ones(n, 2, dtype=torch.int64)
    return Minibatch(words, torch.full((n,), 2), torch.tensor(labels), tasks, sizes)


def test_the_loss_of_a_task_is_the_mean_over_its_texts() -> None:
    batch = make_batch((0, 2), (2, 1), [0, 1, 2])

    losses = task_losses(LOGITS, batch, CLASSES)

    # Two classes of equal logits, then logits (1, 0) of which the second is right; three of equal.
    by_hand = [(math.log(2) + math.log(1 + math.e)) / 2, math.log(3)]
    assert losses.tolist() == pytest.approx(by_hand)


def test_a_task_s_loss_is_the_same_alone_in_the_step() -> None:
    together = task_losses(LOGITS, make_batch((0, 2), (2, 1), [0, 1, 2]), CLASSES)
    alone = task_losses(LOGITS[:2], make_batch((0,), (2,), [0, 1]), CLASSES)

    assert alone[0].item() == pytest.approx(together[0].item())


def test_a_class_that_the_task_lacks_gets_no_gradient() -> None:
    logits = LOGITS.clone().requires_grad_()

    task_losses(logits, make_batch((0, 2), (2, 1), [0, 1, 2]), CLASSES).sum().backward()

    assert logits.grad is not None
    assert logits.grad[:2, 2].tolist() == [0.0, 0.0]
    assert bool(torch.isfinite(logits.grad).all())


def test_shared_gradients_are_those_of_each_loss_over_shared_banks(
    encoded: EncodedCorpus, make_config: Callable[..., TrialConfig]
) -> None:
    config = make_config(sharing={"structure": "stack_pooling", "divergence_depth": 1})
    model = build_model(encoded, config, seed=3).eval()
    rows = tuple(Row(task, encoded.split(task, "train").labels[:5] * 0 + task) for task in (0, 2))
    batch = collate(encoded, "train", rows)
    narrowed = model.narrow(batch)
    losses = task_losses(model(batch, narrowed), batch, CLASSES)

    found = shared_gradients(losses, batch, narrowed, model.plan)

    shared = ("positions", "projection_weight", "projection_bias")
    names = [n for n in model.table_group if n in shared or n.startswith("layers.1.")]
    plain = model(batch)  # without narrowing: the parameters themselves
    for place, part in enumerate(plain.split(batch.sizes)):
        labels = batch.labels.split(batch.sizes)[place]
        tables = [model.get_parameter(name) for name in names]
        wanted = torch.autograd.grad(F.cross_entropy(part, labels), tables, retain_graph=True)
        torch.testing.assert_close(found[place], torch.cat([g.flatten() for g in wanted]))
