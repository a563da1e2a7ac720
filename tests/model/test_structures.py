"""The published structures as plans: tables worked by hand, published sizes, and refusals."""

import pytest

from mtl_core.errors import ConfigError
from mtl_core.model.config import EncoderConfig, SharingConfig
from mtl_core.model.plan import SharingPlan
from mtl_core.model.reads import OtherTokens, Readout, TokenAttention, Tokens
from mtl_core.model.structures import (
    STRUCTURES,
    build_plan,
    deepest,
    layerwise_explicit,
    layerwise_implicit,
    published_depth,
    single_task,
    stack_cls,
    stack_pooling,
)

WITH_DEPTH = sorted(set(STRUCTURES) - {"single_task"})


def test_single_task_gives_every_task_banks_of_its_own() -> None:
    plan = single_task(3, 2)

    assert plan == SharingPlan(((0, 1, 2),) * 3, Tokens.CLS_WORD, Readout.FIRST)


def test_stack_pooling_parts_above_the_depth() -> None:
    plan = stack_pooling(2, 3, divergence_depth=1)

    assert plan == SharingPlan(((0, 0), (0, 0), (0, 1), (0, 1)), Tokens.NONE, Readout.MEAN)


def test_stack_cls_takes_a_depth_per_task() -> None:
    plan = stack_cls(3, 2, divergence_depth=[2, 0, 1])

    table = ((0, 0, 0), (0, 1, 0), (0, 1, 2))
    assert plan == SharingPlan(table, Tokens.CLS, Readout.TOKEN)


def test_layerwise_implicit_lets_the_own_token_enter_after_the_depth() -> None:
    plan = layerwise_implicit(3, 4, divergence_depth=(0, 3, 1))

    assert plan == SharingPlan(((0, 0, 0),) * 5, Tokens.OWN, Readout.TOKEN, (0, 3, 1))


def test_layerwise_explicit_lets_all_tokens_enter_after_the_depth() -> None:
    plan = layerwise_explicit(2, 4, divergence_depth=2)

    assert plan == SharingPlan(((0, 0),) * 5, Tokens.ALL, Readout.TOKEN, (2, 2))


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
def test_a_plan_counts_the_published_parameters(name: str, n_tasks: int, count: int) -> None:
    plan = build_plan(SharingConfig(structure=name), n_tasks, 4)

    assert plan.n_parameters(EncoderConfig(), [2] * n_tasks) == count


@pytest.mark.parametrize("name", WITH_DEPTH)
def test_no_depth_is_the_published_one(name: str) -> None:
    depth = published_depth(name, 4)

    assert (
        STRUCTURES[name](3, 4)
        == STRUCTURES[name](3, 4, depth)
        == STRUCTURES[name](3, 4, [depth] * 3)
    )


@pytest.mark.parametrize("name", ["stack_pooling", "stack_cls"])
def test_at_the_deepest_a_stack_shares_all_layers_and_at_0_only_the_embedding(name: str) -> None:
    shared, apart = STRUCTURES[name](3, 4, 4), STRUCTURES[name](3, 4, 0)

    assert set(shared.groups) == {(0, 0, 0)}
    assert apart.groups == ((0, 0, 0), *[(0, 1, 2)] * 4)


@pytest.mark.parametrize("name", WITH_DEPTH)
def test_every_depth_to_the_deepest_is_a_plan_of_its_own(name: str) -> None:
    high = deepest(name, 5)
    assert high is not None

    plans = {STRUCTURES[name](3, 5, depth) for depth in range(1 + high)}

    assert len(plans) == 1 + high
    with pytest.raises(
        ConfigError, match=f"found {high + 1}, {name} with 5 layers takes 0 to {high}"
    ):
        STRUCTURES[name](3, 5, high + 1)


def test_deepest_says_what_a_structure_admits() -> None:
    assert deepest("single_task", 4) is None
    assert deepest("stack_pooling", 4) == deepest("stack_cls", 4) == 4
    assert deepest("layerwise_implicit", 4) == deepest("layerwise_explicit", 4) == 3


def test_all_depths_out_of_range_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        stack_pooling(3, 2, [-1, 2, 3])

    assert raised.value.faults == (
        "sharing.divergence_depth: found -1, stack_pooling with 2 layers takes 0 to 2",
        "sharing.divergence_depth: found 3, stack_pooling with 2 layers takes 0 to 2",
    )


def test_a_list_of_depths_must_name_every_task() -> None:
    with pytest.raises(
        ConfigError, match="found 2 depths, must be one number or one for each of 3"
    ):
        stack_cls(3, 2, [1, 1])


def test_single_task_refuses_a_depth() -> None:
    with pytest.raises(ConfigError, match="found 2, but single_task shares no layer; leave it out"):
        build_plan(SharingConfig(structure="single_task", divergence_depth=2), 3, 4)


def test_an_unknown_structure_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="unknown 'stack_pool', did you mean 'stack_pooling'"):
        build_plan(SharingConfig(structure="stack_pool"), 3, 4)


def test_how_far_tokens_reach_is_part_of_layerwise_explicit_alone() -> None:
    reach = {"token_attention": "own", "other_tokens": "gated"}

    plan = build_plan(SharingConfig(structure="layerwise_explicit", **reach), 3, 2)

    wanted = layerwise_explicit(
        3, 2, token_attention=TokenAttention.OWN, other_tokens=OtherTokens.GATED
    )
    assert plan == wanted
    with pytest.raises(ConfigError) as raised:
        build_plan(SharingConfig(structure="layerwise_implicit", **reach), 3, 2)
    assert raised.value.faults == (
        "sharing.token_attention: found 'own', but only layerwise_explicit has the tokens of all "
        "tasks, not layerwise_implicit; leave it out",
        "sharing.other_tokens: found 'gated', but only layerwise_explicit has the tokens of all "
        "tasks, not layerwise_implicit; leave it out",
    )
