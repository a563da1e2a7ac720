"""Every plan computes what it says, and gives gradient to exactly the banks it says.

A test that takes a `plan` runs for every structure at every depth, and for random plans.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.data.minibatch import Minibatch
from mtl_core.model.config import EncoderConfig
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.plan import SharingPlan
from mtl_core.model.reads import OtherTokens
from mtl_core.model.structures import STRUCTURES, deepest

K, L = 4, 3
LISTS = {
    "stack_pooling": [3, 0, 2, 2],
    "stack_cls": [0, 3, 1, 3],
    "layerwise_implicit": [0, 2, 1, 0],
    "layerwise_explicit": [2, 0, 1, 2],
}
FORMS = [("single_task", None)]
FORMS += [(name, d) for name in LISTS for d in range(1 + (deepest(name, L) or 0))]
FORMS += list(LISTS.items())

MakeModel = Callable[..., MultiTaskEncoder]
MakeBatch = Callable[..., Minibatch]


def loss_of(model: MultiTaskEncoder, batch: Minibatch, *narrowed: object) -> Tensor:
    return F.cross_entropy(model(batch, *narrowed), batch.labels, reduction="sum")


def banks_with_gradient(model: MultiTaskEncoder) -> dict[str, set[int]]:
    """Return the banks of each group that got a gradient which is not zero."""
    found: dict[str, set[int]] = {}
    for name, table in model.named_parameters():
        banks = set()
        if table.grad is not None:
            banks = set(table.grad.flatten(1).abs().amax(1).nonzero().flatten().tolist())
        found.setdefault(model.table_group[name], set()).update(banks)
    del found["words"]
    return found


def test_a_batch_of_many_tasks_gives_what_the_plan_says_text_by_text(
    plan: SharingPlan, make_model: MakeModel, make_batch: MakeBatch, plain_logits: Callable
) -> None:
    model, batch = make_model(plan), make_batch([2, 0, 1, 3, 0], sizes=(2, 3, 1, 2, 1))

    logits = model.eval()(batch)

    torch.testing.assert_close(logits, plain_logits(model, batch), atol=1e-9, rtol=1e-9)


def test_a_post_norm_model_of_the_bert_kind_gives_what_the_plan_says_text_by_text(
    plan: SharingPlan,
    config: EncoderConfig,
    make_model: MakeModel,
    make_batch: MakeBatch,
    plain_logits: Callable,
) -> None:
    kind = replace(config, d_word=12, norm="post", activation="gelu", norm_eps=1e-3, n_types=2)
    model, batch = make_model(plan, kind), make_batch([2, 0, 1, 3, 0], sizes=(2, 3, 1, 2, 1))

    logits = model.eval()(batch)

    torch.testing.assert_close(logits, plain_logits(model, batch), atol=1e-9, rtol=1e-9)
    assert model.count_parameters() == plan.n_parameters(kind, model.n_classes)


def test_no_text_is_changed_by_padding_or_by_its_neighbours(
    plan: SharingPlan, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model, batch = make_model(plan).float().eval(), make_batch(range(K))

    together = model(batch)

    alone = []
    for text, length in enumerate(batch.lengths.tolist()):
        task = (batch.tasks[text // 3],)
        words, labels = batch.words[text : text + 1, :length], batch.labels[:1]
        alone.append(model(Minibatch(words, batch.lengths[text : text + 1], labels, task, (1,))))
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("task", range(K))
def test_a_task_gives_gradient_to_the_banks_of_its_plan_and_to_no_other(
    plan: SharingPlan, task: int, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model = make_model(plan)

    loss_of(model, make_batch([task], sizes=[6])).backward()

    expected = {f"layer{layer}": {plan.groups[layer][task]} - {-1} for layer in range(1, 1 + L)}
    expected |= {f"norm{at}": {plan.norm_banks(at)[task]} - {-1} for at in plan.reading_layers}
    expected |= {"embedding": {plan.groups[0][task]}, "heads": {task}}
    if plan.n_tokens:
        detached = plan.other_tokens is OtherTokens.DETACHED
        expected["tokens"] = {task} if detached else set(plan.tokens_of(task))
    if plan.other_tokens is OtherTokens.GATED:
        expected["token_gates"] = {task}
    assert banks_with_gradient(model) == expected


@pytest.mark.parametrize(("name", "depth"), FORMS)
def test_a_structure_shares_what_its_name_says(
    name: str, depth: int | list[int] | None, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model = make_model(STRUCTURES[name](K, L, depth))
    depths = [depth] * K if isinstance(depth, int) else depth

    for task in range(K):
        model.zero_grad()
        loss_of(model, make_batch([task], sizes=[6])).backward()
        others = [other for other in range(K) if other != task]
        for layer in range(1, 1 + L):
            used = banks_with_gradient(model)[f"layer{layer}"]
            of_others = {other: {model.plan.groups[layer][other]} for other in others}
            assert len(used) == 1
            for other in others:
                if name == "single_task":
                    together = False
                elif name.startswith("stack_"):
                    together = layer <= min(depths[task], depths[other])
                else:
                    together = True
                assert (used == of_others[other]) == together


def test_permuting_the_tasks_permutes_the_results(
    plan: SharingPlan, make_model: MakeModel, make_batch: MakeBatch, vocabulary: np.ndarray
) -> None:
    names, n_classes, order = ["a", "b", "c", "d"], [2, 3, 2, 5], [2, 0, 3, 1]
    batch = make_batch([2, 0, 1, 3])
    model = make_model(plan, task_names=names)
    permuted = make_model(
        plan.permute(order),
        task_names=[names[k] for k in order],
        n_classes=[n_classes[k] for k in order],
        vocabulary_of_tasks=vocabulary[order],
    )

    logits = model.eval()(batch)
    moved = permuted.eval()(replace(batch, tasks=tuple(order.index(k) for k in batch.tasks)))

    torch.testing.assert_close(moved, logits, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "changes"), [("layerwise_explicit", True), ("layerwise_implicit", False)]
)
@pytest.mark.parametrize("depth", range(L))
def test_only_with_all_tokens_a_task_depends_on_the_tokens_of_the_others(
    name: str, changes: bool, depth: int, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model, batch = make_model(STRUCTURES[name](K, L, depth)).eval(), make_batch([1])
    before = model(batch)

    with torch.no_grad():
        model.tokens[[0, 2, 3]] += torch.randn(3, 12).double()

    assert (model(batch) != before).any().item() is changes
    with torch.no_grad():
        model.tokens[1] += torch.randn(12).double()
    assert not torch.allclose(model(batch)[:, :3], before[:, :3])


def test_single_task_results_do_not_change_with_another_tasks_banks(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model = make_model(STRUCTURES["single_task"](K, L)).eval()
    before = model(make_batch([0, 1]))

    with torch.no_grad():
        for name, table in model.named_parameters():
            if name != "words":
                table[1].normal_()
        model.words[torch.from_numpy(model.word_rows)[1].unique()] = 0
    after = model(make_batch([0, 1]))

    assert torch.equal(after[:3], before[:3])
    assert not torch.allclose(after[3:, :2], before[3:, :2])


def test_a_task_alone_starts_as_the_same_task_among_others(
    make_model: MakeModel, make_batch: MakeBatch, vocabulary: np.ndarray
) -> None:
    among = make_model(STRUCTURES["single_task"](K, L)).eval()
    alone = make_model(
        STRUCTURES["single_task"](1, L),
        n_classes=[3],
        task_names=["dvd"],
        vocabulary_of_tasks=vocabulary[1:2],
    ).eval()

    batch = make_batch([1])

    assert torch.equal(alone(replace(batch, tasks=(0,))), among(batch)[:, :3])


def test_another_seed_is_another_model(make_model: MakeModel) -> None:
    plan = STRUCTURES["stack_cls"](K, L)
    first, again, other = make_model(plan), make_model(plan), make_model(plan, seed=6)

    for (name, a), b, c in zip(
        first.named_parameters(), again.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(a, b)
        assert torch.equal(a, c) == ("bias" in name or "norm" in name)


def test_the_plan_and_the_model_count_the_same_parameters(
    plan: SharingPlan, make_model: MakeModel, config: EncoderConfig
) -> None:
    assert make_model(plan).count_parameters() == plan.n_parameters(config, [2, 3, 2, 5])


@pytest.mark.parametrize(
    ("name", "n_tasks", "count"),
    [
        ("single_task", 1, 2_773_150),
        ("stack_pooling", 16, 2_782_180),
        ("stack_cls", 16, 2_782_480),
        ("layerwise_implicit", 16, 2_786_980),
        ("layerwise_explicit", 16, 2_786_980),
    ],
)
def test_the_model_of_the_published_sizes_has_the_published_parameters(
    name: str, n_tasks: int, count: int
) -> None:
    model = MultiTaskEncoder(
        STRUCTURES[name](n_tasks, 4),
        EncoderConfig(),
        n_classes=[2] * n_tasks,
        vocabulary_of_tasks=np.ones((n_tasks, 5), dtype=bool),
        max_words=2,
        task_names=[str(task) for task in range(n_tasks)],
        seed=0,
    )

    assert model.count_parameters() == count


def test_logits_of_classes_that_a_task_lacks_are_impossible(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    logits = make_model(STRUCTURES["stack_pooling"](K, L))(make_batch(range(K), sizes=[1] * K))

    assert logits.isfinite().sum(dim=1).tolist() == [2, 3, 2, 5]
    assert logits.softmax(-1).sum(dim=1).tolist() == pytest.approx([1] * K)


@pytest.mark.parametrize("narrow", [False, True])
def test_frozen_words_get_no_gradient_and_are_not_counted(
    narrow: bool, config: EncoderConfig, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    plan = STRUCTURES["stack_pooling"](K, L)
    model, batch = make_model(plan, replace(config, freeze_words=True)), make_batch([1, 2])

    narrowed = [model.narrow(batch)] if narrow else []
    loss_of(model, batch, *narrowed).backward()

    assert model.words.grad is None
    assert not narrow or "words" not in narrowed[0].tables
    assert torch.equal(model(batch, *narrowed), make_model(plan)(batch))
