"""Many models move together as each does alone, and by as many operations on a GPU."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from bank_tables import make_tables
from torch.utils._python_dispatch import TorchDispatchMode

from mtl_core.training import row_adam
from mtl_core.training.moves import Move, bytes_at_work, move_together
from mtl_core.training.optimizer import AdamSettings, BankAdam


class Launches(TorchDispatchMode):
    """Counts the operations that are given to the device; views are none."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        self.count += name not in ("view", "split", "slice", "detach", "unbind", "_unsafe_view")
        return func(*args, **(kwargs or {}))


def lanes(n_lanes: int, n_steps: int = 3) -> Iterator[list[Move]]:
    """Yield the moves of models that have nothing in common but the width of their tables."""
    generator = torch.Generator().manual_seed(5)
    made = []
    for lane in range(n_lanes):
        settings = AdamSettings(
            decoupled=lane % 2 == 1,
            weight_decay=[0.0, 0.1, 0.3][lane % 3],
            clip_norm=[0.5, None, 2.0, 1e-3][lane % 4],
        )
        tables = make_tables(1 + lane % 5)
        made.append(BankAdam(tables, settings, by_row=["words"]))
    for step in range(n_steps):
        moves = []
        for lane, optimizer in enumerate(made):
            n_banks = len(optimizer.tables["weight"])
            layer = [bank for bank in range(n_banks) if (bank + step) % 3 or n_banks < 3]
            words = torch.randperm(11, generator=generator)[: 3 + lane % 4]
            banks = {"weight": layer, "bias": layer, "words": words}
            rates = {"weight": 1e-2 / (1 + lane), "bias": 3e-2, "words": 1e-3 * (1 + lane)}
            gradients = {
                name: torch.randn(len(banks[name]), *table.shape[1:], generator=generator)
                for name, table in optimizer.tables.items()
            }
            moves.append(Move(optimizer, gradients, banks, rates))
        yield moves


def moved(count: int, *, as_one: bool) -> Iterator[tuple[Move, Move]]:
    """Yield the last step of each lane that moved with the others, and of its twin alone."""
    for together, alone in zip(lanes(count), lanes(count), strict=True):
        move_together(together, as_one=as_one)
        for of_lane in alone:
            move_together([of_lane], as_one=False)
    yield from zip(together, alone, strict=True)


def test_many_models_as_one_move_as_each_does_alone() -> None:
    for mine, theirs in moved(9, as_one=True):
        found, wanted = mine.optimizer, theirs.optimizer
        for name, table in wanted.tables.items():
            torch.testing.assert_close(found.tables[name], table, rtol=1e-6, atol=1e-6)
        for name, tensor in wanted.state_dict().items():
            torch.testing.assert_close(found.state_dict()[name], tensor, rtol=2e-6, atol=1e-7)


def test_a_model_s_step_has_the_same_bits_in_a_list_on_a_cpu() -> None:
    for mine, theirs in moved(4, as_one=False):
        for name, tensor in theirs.optimizer.state_dict().items():
            assert torch.equal(mine.optimizer.state_dict()[name], tensor)


def test_as_one_the_operations_grow_only_by_the_gathering_of_words() -> None:
    counts = {}
    for n_lanes in (4, 5, 8, 16):
        for moves in lanes(n_lanes):
            with Launches() as launches:
                move_together(moves, as_one=True)
        counts[n_lanes] = launches.count

    # The word rows of a model and what is known of them: four are gathered, four put back.
    assert {n: count - 8 * n for n, count in counts.items()} == dict.fromkeys(
        counts, counts[4] - 32
    )
    assert counts[4] - 32 < 150


def test_rows_are_moved_in_bounded_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,), (cut,) = list(lanes(8, 1)), list(lanes(8, 1))

    move_together(whole, as_one=True)
    at_work = bytes_at_work(cut, as_one=True)
    monkeypatch.setattr(row_adam, "_TOGETHER", 40)
    assert bytes_at_work(cut, as_one=True) < at_work / 2
    move_together(cut, as_one=True)

    for mine, theirs in zip(cut, whole, strict=True):
        for name, table in theirs.optimizer.tables.items():
            torch.testing.assert_close(mine.optimizer.tables[name], table, rtol=1e-6, atol=1e-7)
