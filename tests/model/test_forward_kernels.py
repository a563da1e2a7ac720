"""A pass by the kernels of a GPU computes what a pass of a CPU does, each part as if alone."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mtl_core.data.minibatch import Minibatch
from mtl_core.kernels import usable
from mtl_core.model.config import EncoderConfig
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.forward import Part, compute_logits
from mtl_core.model.structures import STRUCTURES

K, L = 4, 1
MakeModel = Callable[..., MultiTaskEncoder]
MakeBatch = Callable[..., Minibatch]
TASKS = {"stack_cls": [3], "layerwise_explicit": [0, 2]}
DROPOUTS = {
    "dropout_embedding": 0.3,
    "dropout": 0.2,
    "dropout_attention": 0.4,
    "dropout_head": 0.5,
}


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """Return the GPU, or a CPU on which Triton's interpreter stands in for it."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("needs Triton, which comes with PyTorch for CUDA")
    if torch.cuda.is_available():
        return torch.device("cuda")
    monkeypatch.setattr(usable, "interpreted", True)
    return torch.device("cpu")


def make_parts(
    make_model: MakeModel, make_batch: MakeBatch, config: EncoderConfig, device: torch.device
) -> list[Part]:
    """Return parts of two structures, of one layer: an interpreter of kernels is slow."""
    parts = []
    for number, (name, tasks) in enumerate(TASKS.items()):
        plan = STRUCTURES[name](K, L)
        model = make_model(plan, replace(config, n_layers=L, precision="float32"), seed=number)
        model = model.float().to(device)
        batch = make_batch(tasks, sizes=(2,) * len(tasks), seed=number)
        narrowed = model.narrow(batch)
        seed = 100 + number if config.dropout else None
        parts.append(Part(model=model, batch=batch.to(device), narrowed=narrowed, seed=seed))
    return parts


def outcome(parts: list[Part]) -> list[Tensor]:
    """Return the outputs of all parts, then the gradients of all that they use."""
    outputs = compute_logits(parts)
    torch.stack([of_part.square()[:, :2].sum() for of_part in outputs]).sum().backward()
    tables = [part.narrowed.tables for part in parts if part.narrowed is not None]
    grads = [table.grad for of_part in tables for _, table in sorted(of_part.items())]
    return [tensor.detach().cpu() for tensor in (*outputs, *(g for g in grads if g is not None))]


def assert_alike(found: Tensor, wanted: Tensor) -> None:
    """Assert that both are -inf at the same places, and differ by little as a whole."""
    there = wanted.isfinite()
    assert torch.equal(found.isfinite(), there)
    assert (found[there] - wanted[there]).norm() <= 1e-4 * wanted[there].norm()


def test_kernels_compute_what_a_cpu_does(
    config: EncoderConfig,
    make_model: MakeModel,
    make_batch: MakeBatch,
    device: torch.device,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = outcome(make_parts(make_model, make_batch, config, device))
    monkeypatch.setattr(usable, "interpreted", False)

    wanted = outcome(make_parts(make_model, make_batch, config, torch.device("cpu")))

    assert len(found) == len(wanted)
    for mine, theirs in zip(found, wanted, strict=True):
        assert_alike(mine, theirs)


def test_heads_too_wide_for_the_kernel_of_attention_do_without(
    config: EncoderConfig,
    make_model: MakeModel,
    make_batch: MakeBatch,
    device: torch.device,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("mtl_core.model.attention.shared_memory", lambda _: 0)
        patch.setattr("mtl_core.kernels.attention.attend_all", None)
        found = outcome(make_parts(make_model, make_batch, config, device))
    monkeypatch.setattr(usable, "interpreted", False)

    wanted = outcome(make_parts(make_model, make_batch, config, torch.device("cpu")))

    for mine, theirs in zip(found, wanted, strict=True):
        assert_alike(mine, theirs)


def test_by_kernels_a_part_computes_among_others_what_it_computes_alone(
    config: EncoderConfig, make_model: MakeModel, make_batch: MakeBatch, device: torch.device
) -> None:
    config = replace(config, **DROPOUTS)
    together = make_parts(make_model, make_batch, config, device)
    alone = make_parts(make_model, make_batch, config, device)

    found = outcome(together)
    of_each = [outcome([part]) for part in alone]

    outputs = [of_part[0] for of_part in of_each]
    grads = [gradient for of_part in of_each for gradient in of_part[1:]]
    assert len(found) == len(outputs) + len(grads)
    for mine, theirs in zip(found, [*outputs, *grads], strict=True):
        assert_alike(mine, theirs)


def test_by_kernels_the_seed_of_a_part_decides_its_dropout(
    config: EncoderConfig, make_model: MakeModel, make_batch: MakeBatch, device: torch.device
) -> None:
    (part, *_) = make_parts(make_model, make_batch, replace(config, **DROPOUTS), device)

    first, again, other = (
        compute_logits([replace(part, seed=seed)])[0].detach() for seed in (5, 5, 6)
    )

    assert torch.equal(first, again)
    assert not torch.equal(first, other)
