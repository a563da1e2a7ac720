"""Random models with random minibatches in one pass: each as the plan says it, one text at a time.

BRANCHPOINT_EXAMPLES=3000 draws so many other ones.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from gradients import gradients_by_table
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from random_plans import named, plans
from torch import Tensor

from mtl_core.data.minibatch import Minibatch
from mtl_core.model.config import EncoderConfig, SharingConfig
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.forward import Part, compute_logits
from mtl_core.model.plan import SharingPlan
from mtl_core.model.reads import OtherTokens
from mtl_core.model.structures import build_plan

N_CLASSES = (5, 3, 2, 4)  # the most for the first task: logits of all models are of one width
DROPOUTS = ("dropout", "dropout_embedding", "dropout_attention", "dropout_head")
ASKED = int(os.environ.get("BRANCHPOINT_EXAMPLES", "0"))

MakePart = Callable[..., Part]


@dataclass(frozen=True)
class Brought:
    """What one model brings to the pass; `lengths`: of the texts of each of the tasks, in words."""

    plan: SharingPlan
    mean_over_padding: bool
    tasks: tuple[int, ...]
    lengths: tuple[tuple[int, ...], ...]
    dropout: float


@st.composite
def brought(draw: st.DrawFn, dropouts: Sequence[float] = (0.0,)) -> Brought:
    n_tasks, n_layers = draw(st.sampled_from([4, 3, 2, 1])), draw(st.sampled_from([3, 2, 1]))
    if draw(st.booleans()):
        plan = draw(plans(n_tasks, n_layers))
    else:
        sharing = SharingConfig(**draw(named(n_tasks, n_layers)))
        plan = build_plan(sharing, n_tasks, n_layers)
    tasks = tuple(draw(st.permutations(range(n_tasks)))[: draw(st.integers(1, n_tasks))])
    # Few lengths, so that rows of like width meet; long ones too, so that others stay apart.
    length = st.sampled_from([1, 2, 3, 4, 9])
    lengths = [tuple(draw(st.lists(length, min_size=1, max_size=3))) for _ in tasks]
    over_padding = draw(st.sampled_from([False, False, True]))
    return Brought(plan, over_padding, tasks, tuple(lengths), draw(st.sampled_from(dropouts)))


def make_minibatch(of: Brought, n_classes: Sequence[int], seed: int) -> Minibatch:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([length for of_row in of.lengths for length in of_row])
    words = torch.randint(1, 40, (len(lengths), int(lengths.max())), generator=generator)
    words[torch.arange(words.shape[1]) >= lengths[:, None]] = 0
    sizes = tuple(len(of_row) for of_row in of.lengths)
    labels = [
        torch.randint(n_classes[task], (size,), generator=generator)
        for task, size in zip(of.tasks, sizes, strict=True)
    ]
    return Minibatch(words, lengths, torch.cat(labels), of.tasks, sizes)


def examples(count: int) -> settings:
    """Return settings that draw the same `count` examples in every run, unless others are asked."""
    return settings(
        max_examples=ASKED or count,
        derandomize=not ASKED,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink] if ASKED else [Phase.generate],
        # The fixtures hand out functions.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def several(one: st.SearchStrategy[Brought]) -> st.SearchStrategy[tuple[Brought, ...]]:
    return st.sampled_from([5, 4, 3, 2, 1]).flatmap(lambda count: st.tuples(*[one] * count))


@pytest.fixture
def make_part(config: EncoderConfig, make_model: Callable[..., MultiTaskEncoder]) -> MakePart:
    """Return a function that makes a model and a minibatch for it."""

    def make(of: Brought, number: int, dropout_seed: int | None = None) -> Part:
        switches = {"n_layers": of.plan.n_layers, "mean_over_padding": of.mean_over_padding}
        dropouts = dict.fromkeys(DROPOUTS, of.dropout)
        model = make_model(
            of.plan,
            replace(config, **switches, **dropouts),
            n_classes=N_CLASSES[: of.plan.n_tasks],
            seed=number,
        )
        batch = make_minibatch(of, model.n_classes, number)
        return Part(model=model, batch=batch, narrowed=model.narrow(batch), seed=dropout_seed)

    return make


@examples(60)
@given(of_parts=several(brought()))
def test_models_in_one_pass_compute_what_each_of_them_says(
    of_parts: tuple[Brought, ...], make_part: MakePart, plain_logits: Callable[..., Tensor]
) -> None:
    parts = [make_part(of, number) for number, of in enumerate(of_parts)]

    found = compute_logits(parts)

    torch.autograd.backward(losses_of(parts, found))
    for part, logits in zip(parts, found, strict=True):
        assert_as_said(part, logits, plain_logits(part.model, part.batch))


@examples(40)
@given(of_parts=several(brought(dropouts=(0.0, 0.3, 0.5))))
def test_with_dropout_a_model_in_a_pass_is_what_it_is_alone(
    of_parts: tuple[Brought, ...], make_part: MakePart
) -> None:
    together, alone = (
        [make_part(of, number, 100 + number) for number, of in enumerate(of_parts)]
        for _ in range(2)
    )

    found = compute_logits(together)

    torch.autograd.backward(losses_of(together, found))
    for mine, logits, part in zip(together, found, alone, strict=True):
        (expected,) = compute_logits([part])
        torch.autograd.backward(losses_of([part], [expected]))
        torch.testing.assert_close(logits, expected, atol=1e-9, rtol=1e-9)
        for name, gradient in gradients_by_group(part).items():
            wanted = gradients_by_group(mine)[name]
            torch.testing.assert_close(wanted, gradient, atol=1e-9, rtol=1e-9, msg=name)


@examples(40)
@given(of=brought(dropouts=(0.3, 0.5)))
def test_with_dropout_gradients_are_those_of_what_was_computed(
    of: Brought, make_part: MakePart
) -> None:
    assume(of.plan.other_tokens is not OtherTokens.DETACHED)  # the loss does depend on them
    part = make_part(of, 0, dropout_seed=100)
    torch.autograd.backward(losses_of([part], compute_logits([part])))
    gradients = gradients_by_group(part)
    way = {name: torch.randn_like(gradient) for name, gradient in gradients.items()}

    ahead, behind = (loss_away_from(part, way, step) for step in (1e-6, -1e-6))

    slope = sum(float((gradients[name] * way[name]).sum()) for name in way)
    assert (ahead - behind) / 2e-6 == pytest.approx(slope, rel=1e-4, abs=1e-4)


def losses_of(parts: Sequence[Part], found: Sequence[Tensor]) -> list[Tensor]:
    return [
        F.cross_entropy(logits, part.batch.labels, reduction="sum")
        for part, logits in zip(parts, found, strict=True)
    ]


def gradients_by_group(part: Part) -> dict[str, Tensor]:
    """Return the gradients of the banks in use, 0 where nothing depends on them."""
    assert part.narrowed is not None
    return {
        name: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        for name, leaf in part.narrowed.tables.items()
    }


@torch.no_grad()
def loss_away_from(part: Part, way: dict[str, Tensor], step: float) -> float:
    """Return the loss with the weights moved by so much along `way`."""
    assert part.narrowed is not None
    for name, leaf in part.narrowed.tables.items():
        leaf.add_(way[name], alpha=step)
    (loss,) = losses_of([part], compute_logits([part]))
    for name, leaf in part.narrowed.tables.items():
        leaf.sub_(way[name], alpha=step)
    return float(loss)


def assert_as_said(part: Part, logits: Tensor, said: Tensor) -> None:
    """Compare logits and gradients, in double precision."""
    n_classes = said.shape[1]
    assert bool((logits[:, n_classes:] == -torch.inf).all())
    torch.testing.assert_close(logits[:, :n_classes], said, atol=1e-9, rtol=1e-9)
    tables = dict(part.model.named_parameters())
    (loss,) = losses_of([part], [said])
    wanted = torch.autograd.grad(loss, list(tables.values()), materialize_grads=True)
    assert part.narrowed is not None
    found = gradients_by_table(part.model, part.narrowed)
    for name, expected in zip(tables, wanted, strict=True):
        # The numbers of no banks at all are a tensor of floats.
        used = part.narrowed.used[part.model.table_group[name]].long()
        torch.testing.assert_close(found[name], expected[used], atol=1e-9, rtol=1e-9, msg=name)
        rest = expected.clone()
        rest[used] = 0.0
        assert not rest.any(), name  # no other bank has any
