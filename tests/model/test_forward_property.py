"""Random models with random minibatches in one pass: each as the plan says it, one text at a time.

BRANCHPOINT_EXAMPLES=3000 draws so many other ones.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_plans import named, plans
from torch import Tensor

from mtl_core.data.batches import Minibatch
from mtl_core.model.config import EncoderConfig
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.forward import Part, compute_logits
from mtl_core.model.plan import SharingPlan
from mtl_core.model.structures import STRUCTURES

N_CLASSES = (5, 3, 2, 4)  # the most for the first task: logits of all models are of one width
ASKED = int(os.environ.get("BRANCHPOINT_EXAMPLES", "0"))


@dataclass(frozen=True)
class Brought:
    """What one model brings to the pass; `lengths`: of the texts of each of the tasks, in words."""

    plan: SharingPlan
    mean_over_padding: bool
    tasks: tuple[int, ...]
    lengths: tuple[tuple[int, ...], ...]


@st.composite
def brought(draw: st.DrawFn) -> Brought:
    n_tasks, n_layers = draw(st.sampled_from([4, 3, 2, 1])), draw(st.sampled_from([3, 2, 1]))
    if draw(st.booleans()):
        plan = draw(plans(n_tasks, n_layers))
    else:
        values = draw(named(n_tasks, n_layers))
        plan = STRUCTURES[values["structure"]](n_tasks, n_layers, values.get("divergence_depth"))
    tasks = tuple(draw(st.permutations(range(n_tasks)))[: draw(st.integers(1, n_tasks))])
    # Few lengths, so that rows of like width meet; long ones too, so that others stay apart.
    length = st.sampled_from([1, 2, 3, 4, 9])
    lengths = [tuple(draw(st.lists(length, min_size=1, max_size=3))) for _ in tasks]
    return Brought(plan, draw(st.sampled_from([False, False, True])), tasks, tuple(lengths))


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


def gradients_of(logits: Tensor, labels: Tensor, tables: dict[str, Tensor]) -> dict[str, Tensor]:
    loss = F.cross_entropy(logits, labels, reduction="sum")
    found = torch.autograd.grad(loss, list(tables.values()), materialize_grads=True)
    return dict(zip(tables, found, strict=True))


@settings(
    max_examples=ASKED or 60,
    derandomize=not ASKED,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink] if ASKED else [Phase.generate],
    # The fixtures hand out functions.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(of_parts=st.sampled_from([5, 4, 3, 2, 1]).flatmap(lambda n: st.tuples(*[brought()] * n)))
def test_models_in_one_pass_compute_what_each_of_them_says(
    of_parts: tuple[Brought, ...],
    config: EncoderConfig,
    make_model: Callable[..., MultiTaskEncoder],
    plain_logits: Callable[..., Tensor],
) -> None:
    models = [
        make_model(
            of.plan,
            replace(config, n_layers=of.plan.n_layers, mean_over_padding=of.mean_over_padding),
            n_classes=N_CLASSES[: of.plan.n_tasks],
            seed=seed,
        )
        for seed, of in enumerate(of_parts)
    ]
    batches = [
        make_minibatch(of, model.n_classes, seed)
        for seed, (of, model) in enumerate(zip(of_parts, models, strict=True))
    ]
    parts = [
        Part(model=model, batch=batch, narrowed=model.narrow(batch))
        for model, batch in zip(models, batches, strict=True)
    ]

    found = compute_logits(parts)

    torch.autograd.backward(
        [
            F.cross_entropy(logits, batch.labels, reduction="sum")
            for logits, batch in zip(found, batches, strict=True)
        ]
    )
    for part, logits in zip(parts, found, strict=True):
        assert_as_said(part, logits, plain_logits(part.model, part.batch))


def assert_as_said(part: Part, logits: Tensor, said: Tensor) -> None:
    """Compare logits and gradients, in double precision."""
    n_classes = said.shape[1]
    assert bool((logits[:, n_classes:] == -torch.inf).all())
    torch.testing.assert_close(logits[:, :n_classes], said, atol=1e-9, rtol=1e-9)
    tables = dict(part.model.named_parameters())
    wanted = gradients_of(said, part.batch.labels, tables)
    assert part.narrowed is not None
    for name, leaf in part.narrowed.tables.items():
        used = part.narrowed.used[part.model.table_group[name]].long()  # of none: float
        expected = wanted[name].clone()
        mine = leaf.grad if leaf.grad is not None else torch.zeros_like(leaf)
        torch.testing.assert_close(mine, expected[used], atol=1e-9, rtol=1e-9, msg=name)
        expected[used] = 0.0
        assert not expected.any(), name  # no other bank has any
