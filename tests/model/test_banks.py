"""The few banks that a minibatch uses: their gradients, what they hold, and when they are views."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from gradients import gradients_by_table
from torch import Tensor

from mtl_core.data.minibatch import Minibatch
from mtl_core.model.banks import (
    narrow_rows,
    neighbours,
    stack_rows,
    take_words,
    used_words,
)
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
    for name, gradient in gradients_by_table(model, narrowed).items():
        used = narrowed.used[model.table_group[name]]
        if not len(used):
            assert name not in plain
            continue
        torch.testing.assert_close(gradient, plain[name][used], atol=1e-12, rtol=1e-9)
        unused = torch.ones(len(plain[name]), dtype=torch.bool)
        unused[used] = False
        assert not plain[name][unused].any()


def test_a_step_of_one_task_of_many_holds_its_banks_and_its_words_only(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model, batch = make_model(STRUCTURES["single_task"](K, L)), make_batch([2])

    narrowed = model.narrow(batch)

    assert {name: len(leaf) for name, leaf in narrowed.tables.items() if name != "words"} == {
        group: 1 for group in model.table_group.values() if group != "words"
    }
    assert all(
        used.tolist() == [2]
        for group, used in narrowed.used.items()
        if group not in ("words", "tokens")
    )
    rows = torch.from_numpy(model.word_rows)[2][batch.words].unique().tolist()
    cls = int(model.word_rows[2][2])
    assert narrowed.used["words"].tolist() == sorted({*rows, cls})
    assert torch.equal(narrowed.tables["words"], model.words[narrowed.used["words"]])


def test_leaves_are_views_of_the_parameters_where_their_banks_stand_together(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model = make_model(STRUCTURES["stack_pooling"](K, L, 1))
    shared, private = "layer1", "layer2"

    one, two, apart = (model.narrow(make_batch(tasks)).tables for tasks in ([2], [1, 2], [0, 2]))

    first = model.get_parameter("layers.1.norm1_weight")  # of the tables of a layer
    assert one[shared].data_ptr() == first.data_ptr()
    of_tasks = model.get_parameter("layers.2.norm1_weight")
    assert one[private].data_ptr() == of_tasks[2].data_ptr()
    assert two[private].data_ptr() == of_tasks[1].data_ptr()
    assert torch.equal(apart[private], model.rows[private][[0, 2]])
    assert all(leaf.is_leaf and leaf.requires_grad for leaf in one.values())


def test_chosen_rows_are_put_together_without_a_copy_where_they_can_be() -> None:
    first, second = torch.randn(3, 4), torch.randn(2, 4)

    assert stack_rows([(first, 0), (first, 1), (first, 2)]) is first
    assert stack_rows([(first, 1), (first, 2)]).data_ptr() == first[1].data_ptr()
    mixed = stack_rows([(first, 2), (second, 0), (second, 1), (first, 2)])
    assert torch.equal(mixed, torch.stack([first[2], second[0], second[1], first[2]]))


def test_words_in_use_are_found_and_numbered() -> None:
    table, places = torch.nn.Parameter(torch.randn(9, 2)), torch.tensor([[7, 2, 7], [0, 2, 5]])

    rows, (new,) = used_words(len(table), [places])
    used, leaf = take_words(table, rows)

    assert used.tolist() == rows.tolist() == [0, 2, 5, 7]
    assert torch.equal(leaf[new], table[places])
    assert leaf.requires_grad


def test_a_model_that_is_elsewhere_finds_its_words_on_the_cpu(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model, batch = make_model(STRUCTURES["single_task"](K, L)), make_batch([2, 0])
    wanted = model.narrow(batch)

    narrowed = model.to("meta")  # stands in for a GPU: nothing can be read back from it

    found = narrowed.narrow(batch)

    assert found.word_places.shape == wanted.word_places.shape
    assert found.tables["words"].shape == wanted.tables["words"].shape
    assert {leaf.device.type for leaf in found.tables.values()} == {"meta"}


def test_a_table_without_used_banks_has_an_empty_leaf() -> None:
    leaf = narrow_rows(
        torch.nn.Parameter(torch.ones(3, 2)), (), torch.tensor([], dtype=torch.int64)
    )

    assert leaf.shape == (0, 2)
    assert leaf.requires_grad


def test_neighbours_are_runs_of_numbers_that_follow_each_other() -> None:
    assert neighbours((2, 3, 5, 7, 8, 9)) == [(0, 2), (2, 3), (3, 6)]
    assert neighbours((4,)) == [(0, 1)]
    assert neighbours(()) == []
