"""Leaves that several models have in common, against those of each model alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mtl_core.data.minibatch import Minibatch
from mtl_core.kernels import usable
from mtl_core.model.banks import Narrowed
from mtl_core.model.config import EncoderConfig
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.forward import Part, compute_logits
from mtl_core.model.narrow_as_one import narrow_as_one
from mtl_core.model.reads import Reads
from mtl_core.model.structures import STRUCTURES

K, L = 4, 2
MakeModel = Callable[..., MultiTaskEncoder]
MakeBatch = Callable[..., Minibatch]
TASKS = {
    "stack_pooling": [3],
    "single_task": [0, 2],
    "stack_cls": [1],  # whose table of positions has another width
    "layerwise_implicit": [1, 3],
    "layerwise_explicit": [0],
}


@pytest.fixture
def models(make_model: MakeModel) -> list[MultiTaskEncoder]:
    return [make_model(STRUCTURES[name](K, L), seed=at) for at, name in enumerate(TASKS)]


@pytest.fixture
def batches(make_batch: MakeBatch) -> list[Minibatch]:
    return [make_batch(tasks, seed=at) for at, tasks in enumerate(TASKS.values())]


def outcome(
    models: Sequence[MultiTaskEncoder], batches: Sequence[Minibatch], narrowed: Sequence[Narrowed]
) -> list[tuple[Tensor, dict[str, Tensor]]]:
    """Return of each model its outputs in one pass, and the gradients of its own rows."""
    triples = zip(models, batches, narrowed, strict=True)
    outputs = compute_logits([Part(model=m, batch=b, narrowed=n) for m, b, n in triples])
    torch.stack([of_model.square()[:, :2].sum() for of_model in outputs]).sum().backward()
    return [(o.detach(), n.gradients()) for o, n in zip(outputs, narrowed, strict=True)]


def test_a_pass_and_its_gradients_are_those_of_each_model_alone(
    models: list[MultiTaskEncoder], batches: list[Minibatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = list(zip(models, batches, strict=True))
    wanted = [outcome([m], [b], [m.narrow(b)])[0] for m, b in pairs]
    # In float64, which no kernel takes: PyTorch's operations do what those of a GPU would.
    monkeypatch.setattr(usable, "interpreted", True)

    narrowed = [n for (n,) in narrow_as_one(models, [[b] for b in batches])]
    found = outcome(models, batches, narrowed)

    assert len({id(n.tables["heads"]) for n in narrowed}) == 1
    for (mine, my_gradients), (theirs, gradients) in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-12, rtol=1e-9)
        assert my_gradients.keys() == gradients.keys()
        for group, gradient in gradients.items():
            torch.testing.assert_close(my_gradients[group], gradient, atol=1e-12, rtol=1e-9)


def test_a_group_of_which_a_step_uses_no_bank_is_left_to_the_others(
    make_model: MakeModel, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = (Reads.TEXT, Reads.PAIR, Reads.TEXT, Reads.TEXT)
    plan = replace(STRUCTURES["stack_pooling"](K, L), readout_layer=(2, 2, 1, 2))
    models = [make_model(plan, reads=reads, seed=seed) for seed in range(3)]
    batches = [make_batch([0]), make_batch([1], seed=1), make_batch([2], seed=2)]
    batches[1] = replace(batches[1], seconds=batches[1].lengths.numpy() // 2)
    pairs = list(zip(models, batches, strict=True))
    wanted = [outcome([m], [b], [m.narrow(b)])[0] for m, b in pairs]
    monkeypatch.setattr(usable, "interpreted", True)

    for chosen in ([0, 1, 2], [0, 2]):  # some have a pair; none has
        mine, theirs = [models[at] for at in chosen], [batches[at] for at in chosen]
        narrowed = [n for (n,) in narrow_as_one(mine, [[b] for b in theirs])]
        for at, (_, gradients) in zip(chosen, outcome(mine, theirs, narrowed), strict=True):
            assert gradients.keys() == wanted[at][1].keys()
            for group, gradient in wanted[at][1].items():
                torch.testing.assert_close(gradients[group], gradient, atol=1e-12, rtol=1e-9)

    assert "pair_heads" not in wanted[0][1]
    assert not {"layer2", "norm2"} & wanted[2][1].keys()


def test_frozen_banks_and_words_get_no_gradient_beside_those_that_move(
    make_model: MakeModel,
    config: EncoderConfig,
    batches: list[Minibatch],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = STRUCTURES["stack_pooling"](K, L)
    frozen = make_model(plan, replace(config, n_layers=L, freeze_words=True), seed=1)
    frozen.freeze(["layer1"])
    models = [frozen, make_model(plan, seed=2)]
    monkeypatch.setattr(usable, "interpreted", True)

    narrowed = [n for (n,) in narrow_as_one(models, [[b] for b in batches[:2]])]
    (_, of_frozen), (_, of_moving) = outcome(models, batches[:2], narrowed)

    assert of_moving.keys() - of_frozen.keys() == {"layer1", "words"}


def test_steps_of_one_update_have_their_leaves_in_common(
    models: list[MultiTaskEncoder], make_batch: MakeBatch
) -> None:
    steps = [make_batch([0], seed=1), make_batch([2], seed=2)]

    of_first, of_second = narrow_as_one(models[:2], [steps, [steps[1]]])

    assert len(of_first) == 2
    assert len(of_second) == 1
    assert of_first[0].tables is of_first[1].tables
    table = of_first[1].tables["words"]
    rows = models[0].words[models[0].word_places(steps[1]).long()]
    assert torch.equal(table[of_first[1].word_places], rows)
