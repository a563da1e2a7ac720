"""What tasks share under each structure."""

from collections.abc import Callable

import pytest

from mtl_core.affinity.shared import shared_groups, shared_layers, shares_all_layers
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.training.config import TrialConfig
from mtl_core.training.models import build_model, plan_of

MakeConfig = Callable[..., TrialConfig]
LAYERS = ("words", "embedding", "layer1", "layer2")


@pytest.mark.parametrize(
    ("structure", "depth", "also"),
    [
        ("stack_pooling", 2, ("norm2",)),
        ("stack_cls", 2, ("norm2", "tokens")),
        ("layerwise_implicit", 1, ("norm2",)),
        ("layerwise_explicit", 0, ("norm2", "tokens")),
    ],
)
def test_layers_words_and_what_all_tasks_use_besides(
    structure: str, depth: int, also: tuple[str, ...], mixed: EncodedCorpus, make_config: MakeConfig
) -> None:
    model = build_model(mixed, make_config(structure, divergence_depth=depth), seed=1)

    assert shares_all_layers(model.plan)
    assert shared_layers(model) == LAYERS
    assert shared_groups(model) == (*LAYERS, *also)


@pytest.mark.parametrize(
    ("structure", "sharing"), [("single_task", {}), ("stack_cls", {"divergence_depth": 1})]
)
def test_plans_that_part_do_not_share_all_layers(
    structure: str, sharing: dict[str, int], make_config: MakeConfig
) -> None:
    assert not shares_all_layers(plan_of(make_config(structure, **sharing), 3))


def test_tokens_that_are_detached_are_each_task_s_own(
    mixed: EncodedCorpus, make_config: MakeConfig
) -> None:
    config = make_config("layerwise_explicit", other_tokens="detached")

    assert "tokens" not in shared_groups(build_model(mixed, config, seed=1))


def test_what_is_frozen_is_left_out(mixed: EncodedCorpus, make_config: MakeConfig) -> None:
    model = build_model(mixed, make_config("stack_pooling"), seed=1)
    model.freeze(["embedding", "layer1"])

    assert shared_layers(model) == ("words", "layer2")
