"""A pass on several threads computes what one thread computes, and leaves nothing behind."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from dropouts import DROPOUTS
from torch import Tensor

from mtl_core.data.minibatch import Minibatch
from mtl_core.model import by_threads
from mtl_core.model.config import EncoderConfig
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.forward import Part, compute_logits
from mtl_core.model.plan import SharingPlan
from mtl_core.model.structures import STRUCTURES

K, L = 4, 3
MakeModel = Callable[..., MultiTaskEncoder]
MakeBatch = Callable[..., Minibatch]


@pytest.fixture(autouse=True)
def _small_work_is_shared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_threads, "_LEAST_SIZE", 1)


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def part_of(model: MultiTaskEncoder, batch: Minibatch, seed: int | None = None) -> Part:
    return Part(model=model, batch=batch, narrowed=model.narrow(batch), seed=seed)


def gradients(part: Part) -> dict[str, Tensor]:
    assert part.narrowed is not None
    return part.narrowed.gradients()


def weighed(logits: Tensor) -> Tensor:
    """Return a sum in which every finite output counts otherwise."""
    finite = logits.where(logits.isfinite(), 0)
    return (finite.square() * torch.linspace(0.5, 1.5, len(logits))[:, None]).sum()


@pytest.mark.parametrize("n_threads", [2, 3, 9])
def test_outputs_and_gradients_are_those_of_one_thread(
    n_threads: int, plan: SharingPlan, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model, batch = make_model(plan), make_batch([2, 0, 1, 3])
    one, several = part_of(model, batch), part_of(model, batch)

    (wanted,) = compute_logits([one], n_threads=1)
    weighed(wanted).backward()
    (found,) = compute_logits([several], n_threads=n_threads)
    weighed(found).backward()

    torch.testing.assert_close(found, wanted, atol=1e-9, rtol=1e-9)
    assert gradients(several).keys() == gradients(one).keys()
    for name, gradient in gradients(one).items():
        torch.testing.assert_close(gradients(several)[name], gradient, atol=1e-8, rtol=1e-8)


def test_a_part_computes_among_others_what_it_computes_alone(
    config: EncoderConfig, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    def parts() -> list[Part]:
        found = []
        for number, name in enumerate(sorted(STRUCTURES)):
            model = make_model(STRUCTURES[name](K, L), replace(config, **DROPOUTS), seed=number)
            batch = make_batch([number % K] if number % 2 else [0, 1, 2, 3], seed=number)
            found.append(part_of(model, batch, seed=number))
        return found

    together, alone = parts(), parts()
    logits = compute_logits(together, n_threads=3)
    torch.stack([weighed(of_part) for of_part in logits]).sum().backward()

    for part, among, found in zip(alone, together, logits, strict=True):
        (wanted,) = compute_logits([part], n_threads=3)
        weighed(wanted).backward()
        torch.testing.assert_close(found, wanted, atol=1e-9, rtol=1e-9)
        for name, gradient in gradients(part).items():
            torch.testing.assert_close(gradients(among)[name], gradient, atol=1e-8, rtol=1e-8)


def test_pieces_draw_different_dropout(
    config: EncoderConfig, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model = make_model(STRUCTURES["stack_cls"](K, L), replace(config, dropout_head=0.5))
    batch = make_batch([0], seed=1)
    twice = replace(
        batch,
        words=batch.words[:1].expand(2, -1),
        lengths=batch.lengths[:1].expand(2),
        labels=batch.labels[:1].expand(2),
        sizes=(2,),
    )

    (outputs,) = compute_logits([part_of(model, twice, seed=5)], n_threads=2)

    assert not torch.equal(outputs[0], outputs[1])


def test_gradients_may_be_asked_for_more_than_once(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    part = part_of(make_model(STRUCTURES["stack_pooling"](K, L)), make_batch([0, 1]))
    assert part.narrowed is not None
    leaf = part.narrowed.tables["layer1"]

    loss = weighed(compute_logits([part], n_threads=2)[0])
    (first,) = torch.autograd.grad(loss, [leaf], retain_graph=True)
    (second,) = torch.autograd.grad(loss, [leaf])

    assert first.any()
    assert torch.equal(first, second)


def test_what_is_frozen_gets_no_gradient(make_model: MakeModel, make_batch: MakeBatch) -> None:
    model = make_model(STRUCTURES["stack_pooling"](K, L))
    model.freeze(["layer1"])
    part = part_of(model, make_batch([0, 1]))

    weighed(compute_logits([part], n_threads=2)[0]).backward()

    assert "layer1" not in gradients(part)
    assert "layer2" in gradients(part)


def test_nothing_is_kept_where_no_gradients_are_taken(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model, batch = make_model(STRUCTURES["stack_pooling"](K, L)), make_batch([0, 1])
    with torch.no_grad():
        (wanted,) = compute_logits([Part(model=model, batch=batch)], n_threads=1)
        (found,) = compute_logits([Part(model=model, batch=batch)], n_threads=2)

    assert not found.requires_grad
    torch.testing.assert_close(found, wanted, atol=1e-9, rtol=1e-9)


def test_a_thread_that_fails_is_heard_when_all_have_ended(
    monkeypatch: pytest.MonkeyPatch, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model, batch = make_model(STRUCTURES["stack_pooling"](K, L)), make_batch([0, 1])
    (wanted,) = compute_logits([part_of(model, batch)], n_threads=2)
    ended, compute = threading.Event(), by_threads.head_outputs

    def fail_in_the_first(works: list[by_threads.Work], read: object) -> list[Tensor]:
        if works[0].batch.tasks == (0,):
            raise MemoryError("no more")
        outputs = compute(works, read)  # type: ignore[arg-type]
        ended.set()
        return outputs

    monkeypatch.setattr(by_threads, "head_outputs", fail_in_the_first)
    with pytest.raises(MemoryError, match="no more"):
        compute_logits([part_of(model, batch)], n_threads=2)
    assert ended.is_set()

    monkeypatch.undo()
    monkeypatch.setattr(by_threads, "_LEAST_SIZE", 1)
    assert torch.equal(compute_logits([part_of(model, batch)], n_threads=2)[0], wanted)


def test_pytorch_keeps_its_threads_elsewhere(make_model: MakeModel, make_batch: MakeBatch) -> None:
    torch.set_num_threads(3)
    by_threads._pool.cache_clear()

    compute_logits([part_of(make_model(STRUCTURES["stack_cls"](K, L)), make_batch([0, 1]))])

    assert _threads_of_a_new_one() == torch.get_num_threads() == 3


def _threads_of_a_new_one() -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]
