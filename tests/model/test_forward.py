"""Several models in one pass: each computes what it computes alone, dropout and gradients too."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from dropouts import DROPOUTS
from torch import Tensor

from mtl_core.data.minibatch import Minibatch
from mtl_core.model import precision
from mtl_core.model.config import EncoderConfig
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.forward import Part, compute_logits, family
from mtl_core.model.precision import products_dtype
from mtl_core.model.structures import STRUCTURES

K, L = 4, 3
MakeModel = Callable[..., MultiTaskEncoder]
MakeBatch = Callable[..., Minibatch]


def make_parts(
    make_model: MakeModel, make_batch: MakeBatch, config: EncoderConfig, seeded: bool
) -> list[Part]:
    """Return parts of all structures, with rows of one task or of all, dropping much or nothing."""
    tasks = [[0], [2, 0, 1, 3], [3], [1, 2], [0, 1, 2, 3], [2]]
    parts = []
    for number, name in enumerate([*sorted(STRUCTURES), "layerwise_explicit"]):
        depth = None if name == "single_task" else number % L
        drops = DROPOUTS if number % 2 else {}
        model = make_model(STRUCTURES[name](K, L, depth), replace(config, **drops), seed=number)
        batch = make_batch(tasks[number], seed=number)
        seed = 100 + number if seeded else None
        parts.append(Part(model=model, batch=batch, narrowed=model.narrow(batch), seed=seed))
    return parts


def gradients(parts: list[Part]) -> list[dict[str, Tensor]]:
    found = []
    for part in parts:
        assert part.narrowed is not None
        leaves = part.narrowed.tables.items()
        found.append({name: leaf.grad.clone() for name, leaf in leaves if leaf.grad is not None})
    return found


@pytest.mark.parametrize("seeded", [True, False])
def test_a_part_computes_among_others_what_it_computes_alone(
    seeded: bool, config: EncoderConfig, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    together, alone = (make_parts(make_model, make_batch, config, seeded) for _ in range(2))

    logits = compute_logits(together)
    torch.stack([of_part.square()[:, :2].sum() for of_part in logits]).sum().backward()
    logits_alone = [compute_logits([part])[0] for part in alone]
    for of_part in logits_alone:
        of_part.square()[:, :2].sum().backward()

    for found, wanted in zip(logits, logits_alone, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-9, rtol=1e-9)
    for found, wanted in zip(gradients(together), gradients(alone), strict=True):
        assert found.keys() == wanted.keys()
        for name in wanted:
            torch.testing.assert_close(found[name], wanted[name], atol=1e-8, rtol=1e-8)


def test_on_a_cpu_a_part_computes_the_same_bits_in_any_company(
    config: EncoderConfig, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    together, alone = (make_parts(make_model, make_batch, config, True) for _ in range(2))
    for part in [*together, *alone]:
        part.model.float()
    together, alone = (
        [replace(part, narrowed=part.model.narrow(part.batch)) for part in parts]
        for parts in (together, alone)
    )

    logits = compute_logits(together)
    torch.stack([of_part.square()[:, :2].sum() for of_part in logits]).sum().backward()
    for part, found in zip(alone, logits, strict=True):
        (wanted,) = compute_logits([part])
        wanted.square()[:, :2].sum().backward()
        assert torch.equal(found, wanted)

    for found, wanted in zip(gradients(together), gradients(alone), strict=True):
        assert [name for name in wanted if not torch.equal(found[name], wanted[name])] == []


def test_a_part_that_is_no_number_spoils_no_other(
    config: EncoderConfig, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    parts = make_parts(make_model, make_batch, config, seeded=True)
    with torch.no_grad():
        parts[2].model.get_parameter("layers.1.qkv_weight").fill_(torch.nan)

    logits = compute_logits(parts)
    torch.stack([of_part[:, :2].sum() for of_part in logits]).sum().backward()

    assert [bool(of_part[:, :2].isfinite().all()) for of_part in logits] == [
        number != 2 for number in range(6)
    ]
    for number, of_part in enumerate(gradients(parts)):
        assert all(bool(g.isfinite().all()) for g in of_part.values()) == (number != 2)


def test_the_seed_of_a_part_decides_its_dropout(
    config: EncoderConfig, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    parts = make_parts(make_model, make_batch, config, seeded=True)
    part = parts[3]
    torch.manual_seed(0)
    first = compute_logits([part])[0]
    torch.manual_seed(1)

    assert torch.equal(compute_logits([part])[0], first)
    assert not torch.equal(compute_logits([replace(part, seed=7)])[0], first)


def test_models_of_other_depth_and_dropout_are_of_one_family(config: EncoderConfig) -> None:
    assert family(replace(config, n_layers=1, dropout=0.4)) == family(config)
    for change in ({"d_model": 24}, {"d_ff": 8}, {"n_heads": 3}, {"d_word": 4}):
        assert family(replace(config, **change)) != family(config)


def test_models_of_other_depth_go_through_one_pass(
    config: EncoderConfig, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    shallow = make_model(STRUCTURES["stack_cls"](K, 1), replace(config, n_layers=1)).eval()
    deep = make_model(STRUCTURES["stack_cls"](K, L)).eval()
    batch = make_batch([0, 1])

    logits = compute_logits([Part(model=m, batch=batch) for m in (deep, shallow)])

    torch.testing.assert_close(logits[0], deep(batch), atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(logits[1], shallow(batch), atol=1e-9, rtol=1e-9)


def test_products_in_bfloat16_give_nearly_the_same(
    config: EncoderConfig, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    plan, batch = STRUCTURES["layerwise_explicit"](K, L), make_batch([0, 2])
    low, high = (
        make_model(plan, replace(config, precision=p)).float().eval()
        for p in ("bfloat16", "float32")
    )

    found, wanted = low(batch)[:, :2], high(batch)[:, :2]

    assert found.dtype is torch.float32
    assert not torch.equal(found, wanted)
    assert (found - wanted).norm() < 3e-2 * wanted.norm()


def test_the_precision_asked_for_is_taken(
    config: EncoderConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")

    assert products_dtype(replace(config, precision="bfloat16"), cpu) is torch.bfloat16
    assert products_dtype(replace(config, precision="float32"), cpu) is torch.float32
    assert products_dtype(config, cpu) is torch.float32  # too narrow to gain anything
    for is_recent, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(precision, "is_recent", lambda _, found=is_recent: found)
        assert products_dtype(config, gpu) is dtype


@pytest.mark.parametrize(
    ("tiles", "vectors", "intel", "least"),
    [
        (True, True, True, 128),
        (False, True, False, 64),
        (False, True, True, None),  # slower there than float32
        (False, False, False, None),
    ],
)
def test_a_cpu_takes_bfloat16_from_the_width_at_which_it_pays(
    tiles: bool,
    vectors: bool,
    intel: bool,
    least: int | None,
    config: EncoderConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: vectors)
    monkeypatch.setattr(precision, "_is_intel", lambda: intel)

    widths = [60, 64, 120, 128, 300]
    found = [
        products_dtype(replace(config, d_model=width), torch.device("cpu")) for width in widths
    ]

    wanted = [least is not None and width >= least for width in widths]
    assert [dtype is torch.bfloat16 for dtype in found] == wanted
