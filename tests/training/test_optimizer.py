"""BankAdam against `torch.optim`, and what it must leave alone."""

from collections.abc import Sequence

import pytest
import torch
from bank_tables import make_tables
from torch import Tensor

from mtl_core.training.moves import Move, move_together
from mtl_core.training.optimizer import AdamSettings, BankAdam

GROUPS = {"weight": "layer", "bias": "layer", "words": "words"}


def move(
    optimizer: BankAdam,
    gradients: dict[str, Tensor],
    used: dict[str, Tensor],
    learning_rate: float = 0.1,
    word_learning_rate: float = 0.1,
    *,
    as_one: bool = False,
) -> None:
    layer = used["layer"].tolist()
    banks = {"weight": layer, "bias": layer, "words": used["words"]}
    rates = dict.fromkeys(gradients, learning_rate) | {"words": word_learning_rate}
    move_together([Move(optimizer, gradients, banks, rates)], as_one=as_one)


def make_gradients(
    tables: dict[str, Tensor], step: int, used: dict[str, Tensor]
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    full = {name: torch.randn(table.shape, generator=generator) for name, table in tables.items()}
    return {name: gradient[used[GROUPS[name]]] for name, gradient in full.items()}


def everything(tables: dict[str, Tensor]) -> dict[str, Tensor]:
    return {"layer": torch.arange(len(tables["weight"])), "words": torch.arange(11)}


def banks(layer: Sequence[int], words: Sequence[int]) -> dict[str, Tensor]:
    return {"layer": torch.tensor(layer), "words": torch.tensor(words)}


@pytest.mark.parametrize("as_one", [False, True])
@pytest.mark.parametrize("clip_norm", [None, 0.7])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("decoupled", [False, True])
def test_equals_torch_where_every_bank_is_used(
    decoupled: bool, weight_decay: float, clip_norm: float | None, as_one: bool
) -> None:
    mine, theirs = make_tables(), {n: torch.nn.Parameter(t) for n, t in make_tables().items()}
    settings = AdamSettings(decoupled=decoupled, weight_decay=weight_decay, clip_norm=clip_norm)
    bank_adam = BankAdam(mine, settings, by_row=["words"])
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    dense = kind(
        [
            {"params": [theirs["weight"], theirs["bias"]], "lr": 1e-2},
            {"params": [theirs["words"]], "lr": 1e-3},
        ],
        weight_decay=weight_decay,
    )

    for step in range(20):
        gradients = make_gradients(mine, step, everything(mine))
        for name, parameter in theirs.items():
            parameter.grad = gradients[name].clone()
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(theirs.values(), clip_norm)
        dense.step()
        move(bank_adam, gradients, everything(mine), 1e-2, 1e-3, as_one=as_one)

    for name, parameter in theirs.items():
        torch.testing.assert_close(mine[name], parameter.detach(), rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("as_one", [False, True])
def test_idle_banks_and_words_keep_every_bit(as_one: bool) -> None:
    tables, before = make_tables(), make_tables()
    optimizer = BankAdam(tables, AdamSettings(weight_decay=0.1), by_row=["words"])
    # Every bank has momentum first: dense Adam would go on moving the idle ones.
    for step, used in enumerate([everything(tables), banks([1], [2, 5])]):
        before = {name: table.clone() for name, table in tables.items()}
        move(optimizer, make_gradients(tables, step, used), used, as_one=as_one)

    idle = {"weight": [0, 2], "bias": [0, 2], "words": [0, 1, 3, 4, 6, 7, 8, 9, 10]}
    for name, numbers in idle.items():
        assert torch.equal(tables[name][numbers], before[name][numbers])
    assert not torch.equal(tables["weight"][1], before["weight"][1])
    assert not torch.equal(tables["words"][[2, 5]], before["words"][[2, 5]])


@pytest.mark.parametrize("as_one", [False, True])
def test_a_bank_learns_as_if_it_were_alone(as_one: bool) -> None:
    together, alone = make_tables(), make_tables()
    used = [banks([0], [1]), banks([1, 2], [3, 4]), banks([1], [1, 3]), banks([0, 1, 2], [1, 4])]
    settings = AdamSettings()
    optimizer = BankAdam(together, settings, by_row=["words"])
    for step, numbers in enumerate(used):
        move(optimizer, make_gradients(together, step, numbers), numbers, as_one=as_one)

    only = torch.nn.Parameter(alone["weight"][0])
    word = torch.nn.Parameter(alone["words"][1])
    dense = torch.optim.Adam([only], lr=0.1)
    dense_word = torch.optim.Adam([word], lr=0.1)
    for step in (0, 3):
        only.grad = make_gradients(alone, step, everything(alone))["weight"][0]
        dense.step()
    for step in (0, 2, 3):
        word.grad = make_gradients(alone, step, everything(alone))["words"][1]
        dense_word.step()
    torch.testing.assert_close(together["weight"][0], only.detach(), rtol=2e-6, atol=2e-7)
    torch.testing.assert_close(together["words"][1], word.detach(), rtol=2e-6, atol=2e-7)


def test_the_norm_is_over_banks_and_words_together() -> None:
    tables = {name: torch.zeros_like(table) for name, table in make_tables().items()}
    used = banks([0], [4])
    gradients = {
        "weight": torch.zeros(1, 5, 7),
        "bias": torch.full((1, 7), 3.0) * torch.eye(7)[0],
        "words": torch.full((1, 5), 4.0) * torch.eye(5)[0],
    }  # norms 3 and 4: 5 together
    optimizer = BankAdam(tables, AdamSettings(clip_norm=1.0), by_row=["words"])

    move(optimizer, gradients, used)

    assert optimizer.means["bias"][0, 0].item() == pytest.approx(0.1 * 3 / 5, rel=1e-5)
    assert optimizer.means["words"][4, 0].item() == pytest.approx(0.1 * 4 / 5, rel=1e-5)


def test_a_loaded_state_continues_to_the_same_bits() -> None:
    uninterrupted, continued = make_tables(), make_tables()
    first = BankAdam(uninterrupted, AdamSettings(), by_row=["words"])
    second = BankAdam(continued, AdamSettings(), by_row=["words"])
    used = [everything(uninterrupted), banks([0], [1, 2]), banks([0, 2], [2, 9])]
    for step, numbers in enumerate(used):
        if step == 2:
            second.load_state_dict({k: v.clone() for k, v in first.state_dict().items()})
            for name, table in uninterrupted.items():
                continued[name].copy_(table)
            move(second, make_gradients(continued, step, numbers), numbers)
        move(first, make_gradients(uninterrupted, step, numbers), numbers)

    for name, table in uninterrupted.items():
        assert torch.equal(continued[name], table)


def test_gradients_with_turned_strides_are_taken_as_they_read() -> None:
    plain, turned = make_tables(), make_tables()
    for tables, turn in ((plain, False), (turned, True)):
        gradients = make_gradients(tables, 0, everything(tables))
        if turn:
            gradients["weight"] = gradients["weight"].mT.contiguous().mT
        optimizer = BankAdam(tables, AdamSettings(), by_row=["words"])
        move(optimizer, gradients, everything(tables))

    assert torch.equal(plain["weight"], turned["weight"])
