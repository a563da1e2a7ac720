"""The few banks that a minibatch uses: their gradients, what they hold, and when they are views."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.data.batches import Minibatch
from mtl_core.model.banks import narrow_table
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.plan import SharingPlan
from mtl_core.model.structures import STRUCTURES

K, L = 4, 3

MakeModel = Callable[..., MultiTaskEncoder]
MakeBatch = Callable[..., Minibatch]


def loss_of(model: MultiTaskEncoder, batch: Minibatch, *narrowed: object) -> Tensor:
    return F.cross_entropy(model(batch, *narrowed), batch.labels, reduction="sum")


def test_narrowed_gradients_are_those_of_plain_autograd(
    plan: SharingPlan, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model, batch = make_model(plan), make_batch([3, 1], sizes=(4, 3))
    loss = loss_of(model, batch)
    loss.backward()
    plain = {
        name: table.grad.clone()
        for name, table in model.named_parameters()
        if table.grad is not None
    }
    model.zero_grad()

    narrowed = model.narrow(batch)
    narrowed_loss = loss_of(model, batch, narrowed)
    narrowed_loss.backward()

    assert torch.equal(loss, narrowed_loss)
    assert all(table.grad is None for table in model.parameters())
    for name, leaf in narrowed.tables.items():
        used = narrowed.used[model.table_group[name]]
        if not len(used):
            assert name not in plain
            continue
        torch.testing.assert_close(leaf.grad, plain[name][used], atol=1e-12, rtol=1e-9)
        unused = torch.ones(len(plain[name]), dtype=torch.bool)
        unused[used] = False
        assert not plain[name][unused].any()


def test_a_step_of_one_task_of_many_holds_its_banks_and_its_words_only(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model, batch = make_model(STRUCTURES["single_task"](K, L)), make_batch([2])

    narrowed = model.narrow(batch)

    assert {name: len(leaf) for name, leaf in narrowed.tables.items() if name != "words"} == {
        name: 1 for name in model.table_group if name != "words"
    }
    assert all(
        used.tolist() == [2]
        for group, used in narrowed.used.items()
        if group not in ("words", "tokens")
    )
    rows = model.word_row[2][batch.words].unique().tolist()
    cls = int(model.word_row[2][2])
    assert narrowed.used["words"].tolist() == sorted({*rows, cls})
    assert torch.equal(narrowed.tables["words"], model.words[narrowed.used["words"]])


def test_leaves_are_views_of_the_parameters_where_their_banks_stand_together(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model = make_model(STRUCTURES["stack_pooling"](K, L, 1))
    shared, private = "layers.1.up_weight", "layers.2.up_weight"

    one, two, apart = (model.narrow(make_batch(tasks)).tables for tasks in ([2], [1, 2], [0, 2]))

    tables = dict(model.named_parameters())
    assert one[shared].data_ptr() == tables[shared].data_ptr()
    assert one[private].data_ptr() == tables[private][2].data_ptr()
    assert two[private].data_ptr() == tables[private][1].data_ptr()
    assert torch.equal(apart[private], tables[private][[0, 2]])
    assert all(leaf.is_leaf and leaf.requires_grad for leaf in one.values())


def test_a_table_without_used_banks_has_an_empty_leaf() -> None:
    leaf = narrow_table(
        torch.nn.Parameter(torch.ones(3, 2)), (), torch.tensor([], dtype=torch.int64)
    )

    assert leaf.shape == (0, 2)
    assert leaf.requires_grad
