"""The sharing plan: its checks, its canonical form, what it counts, and JSON."""

import json
from dataclasses import replace

import pytest

from mtl_core.errors import ConfigError
from mtl_core.model.config import EncoderConfig
from mtl_core.model.plan import NOT_REACHED, SharingPlan
from mtl_core.model.reads import OtherTokens, Readout, TokenAttention, Tokens

TREE = ((0, 0, 0), (0, 0, 1), (0, 1, 2))


def test_equal_tables_are_equal_however_their_banks_are_numbered() -> None:
    plan = SharingPlan(TREE)
    other = SharingPlan(((7, 7, 7), (4, 4, 0), (2, 1, 0)))

    assert plan == other
    assert hash(plan) == hash(other)
    assert plan.digest() == other.digest()


def test_banks_above_the_layer_a_task_reads_do_not_count() -> None:
    plan = SharingPlan(TREE, readout_layer=(1, 2, 2))
    other = SharingPlan(((0, 0, 0), (0, 0, 1), (9, 1, 2)), readout_layer=(1, 2, 2))

    assert plan == other
    assert plan.groups[2] == (NOT_REACHED, 0, 1)
    assert plan.n_banks(2) == 2


def test_the_digest_is_the_same_on_every_machine_and_in_every_version() -> None:
    plan = SharingPlan(TREE, Tokens.OWN, Readout.TOKEN, (0, 1, 0), (2, 2, 1))

    assert plan.to_json() == (
        '{"groups":[[0,0,0],[0,0,1],[0,1,-1]],"readout":"token","readout_layer":[2,2,1],'
        '"token_depth":[0,1,0],"tokens":"own"}'
    )
    assert plan.digest() == "34742ebab73a6364"


def test_json_brings_back_the_plan() -> None:
    plan = SharingPlan(TREE, Tokens.ALL, Readout.MEAN, (0, 1, 0), (2, 2, 1))

    assert SharingPlan.from_json(plan.to_json()) == plan


def test_how_far_tokens_reach_is_written_where_it_is_not_as_published() -> None:
    published = SharingPlan(TREE, Tokens.ALL, Readout.TOKEN)
    plan = replace(published, token_attention=TokenAttention.OWN, other_tokens=OtherTokens.DETACHED)

    reach = {"token_attention": "own", "other_tokens": "detached"}
    assert plan.as_dict() == published.as_dict() | reach
    assert SharingPlan.from_json(plan.to_json()) == plan
    assert plan.permute([2, 0, 1]).other_tokens is OtherTokens.DETACHED


def test_lists_are_taken_for_tuples() -> None:
    plan = SharingPlan([[0, 0], [0, 1]], token_depth=[0, 0])  # type: ignore[arg-type]

    assert plan == SharingPlan(((0, 0), (0, 1)))
    assert isinstance(hash(plan), int)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "must be an object of groups, tokens"),
        ('{"groups": []}', "must be an object of groups, tokens"),
    ],
)
def test_what_is_no_plan_in_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SharingPlan.from_json(text)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("tokens", "alll", "sharing plan, tokens: unknown 'alll', did you mean 'all'"),
        ("readout", "tokn", "readout: unknown 'tokn', did you mean 'token'"),
        ("token_attention", "owm", "token_attention: unknown 'owm', did you mean 'own'"),
        ("other_tokens", "gate", "other_tokens: unknown 'gate', did you mean 'gated'"),
        ("groups", [1, 2], "must be a list of lists"),
        ("groups", [[0, 0, 0], [0, 0, "a"]], "must hold whole numbers only"),
        ("groups", [[0, 0, 0], [0, 0, True]], "must hold whole numbers only"),
    ],
)
def test_a_wrong_value_in_json_is_refused(key: str, value: object, message: str) -> None:
    values = SharingPlan(TREE[:2]).as_dict() | {key: value}

    with pytest.raises(ConfigError, match=message):
        SharingPlan.from_json(json.dumps(values))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"groups": ()}, "needs a row for the embedding"),
        ({"groups": ((0, 0),)}, "one for each layer"),
        ({"groups": ((), ())}, "at least one task"),
        ({"groups": ((0, 0), (0,))}, r"rows of \[1, 2\] tasks"),
        ({"token_depth": (0, 0)}, "token_depth: found 2 numbers, must be one per task, 3"),
        ({"readout_layer": (1,)}, "readout_layer: found 1 numbers"),
        ({"token_depth": (1, 0, 0)}, "tokens 'none' enter nowhere, must be 0 for all"),
        ({"tokens": Tokens.OWN, "token_depth": (0, 2, 0)}, "task 1: found 2, must be 0 to 1"),
        ({"tokens": Tokens.OWN, "token_depth": (0, -1, 0)}, "task 1: found -1, must be 0 to 1"),
        (
            {"tokens": Tokens.OWN, "token_depth": (1, 0, 0), "readout_layer": (1, 2, 2)},
            "task 0: found 1, must be 0 to 0, below the layer 1 that it reads",
        ),
        ({"readout": Readout.TOKEN}, "found 'token', with tokens 'none' must be 'mean'"),
        ({"tokens": Tokens.CLS_WORD}, "found 'mean', with tokens 'cls_word' must be 'first'"),
        (
            {"tokens": Tokens.CLS, "readout": Readout.FIRST},
            "found 'first', with tokens 'cls' must be 'mean' or 'token'",
        ),
        ({"readout_layer": (3, 2, 2)}, "readout_layer of task 0: found 3, must be 0 to 2"),
        (
            {"tokens": Tokens.CLS_WORD, "readout": Readout.FIRST, "readout_layer": (0, 2, 2)},
            "readout_layer of task 0: found 0, must be 1 to 2",
        ),
        ({"readout_layer": (1, 1, 0)}, "no task reads above layer 1"),
        (
            {"token_attention": TokenAttention.OWN},
            "token_attention: found 'own', with tokens 'none' must be 'all'",
        ),
        (
            {"tokens": Tokens.OWN, "other_tokens": OtherTokens.GATED},
            "other_tokens: found 'gated', with tokens 'own' must be 'free'",
        ),
    ],
)
def test_a_plan_that_cannot_run_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SharingPlan(**({"groups": TREE} | fields))  # type: ignore[arg-type]


def test_all_faults_of_a_plan_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        SharingPlan(TREE, Tokens.OWN, Readout.FIRST, (5, 6, 0))

    assert len(raised.value.faults) == 3


def test_used_banks_are_those_of_the_tasks_rows() -> None:
    plan = SharingPlan(TREE, Tokens.OWN, Readout.TOKEN, readout_layer=(1, 2, 2))

    assert plan.used_banks([2, 0, 2]) == {
        "embedding": (0,),
        "layer1": (0, 1),
        "layer2": (1,),  # task 0 reads below it
        "norm1": (0,),
        "norm2": (1,),
        "tokens": (0, 2),
        "heads": (0, 2),
    }


def test_tasks_that_read_at_one_layer_in_one_bank_share_its_final_norm() -> None:
    plan = SharingPlan(((0,) * 4, (0, 0, 1, 0), (0, 0, 0, 0)), readout_layer=(1, 2, 1, 1))

    assert plan.reading_layers == (1, 2)
    assert plan.norm_banks(1) == (0, NOT_REACHED, 1, 0)
    assert plan.norm_banks(2) == (NOT_REACHED, 0, NOT_REACHED, NOT_REACHED)


@pytest.mark.parametrize(
    ("tokens", "of_task_1", "count"),
    [
        (Tokens.NONE, (), 0),
        (Tokens.CLS_WORD, (), 0),
        (Tokens.CLS, (1,), 2),
        (Tokens.OWN, (1,), 3),
        (Tokens.ALL, (0, 1, 2), 3),
    ],
)
def test_tokens_of_a_task(tokens: Tokens, of_task_1: tuple[int, ...], count: int) -> None:
    readout = {Tokens.NONE: Readout.MEAN, Tokens.CLS_WORD: Readout.FIRST}
    plan = SharingPlan(((0, 1, 0), (0, 0, 0)), tokens, readout.get(tokens, Readout.TOKEN))

    assert plan.tokens_of(1) == of_task_1
    assert plan.n_tokens == count


def test_permuting_moves_every_property_of_a_task() -> None:
    plan = SharingPlan(TREE, Tokens.OWN, Readout.TOKEN, (0, 1, 0), (1, 2, 2))

    permuted = plan.permute([2, 0, 1])

    assert permuted.groups == ((0, 0, 0), (0, 1, 1), (0, NOT_REACHED, 1))
    assert permuted.token_depth == (0, 0, 1)
    assert permuted.readout_layer == (2, 1, 2)
    assert permuted.permute([1, 2, 0]) == plan


def test_an_order_that_leaves_a_task_out_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"found \[0, 1, 1\], must name each of 3 tasks"):
        SharingPlan(TREE).permute([0, 1, 1])


def test_parameters_are_counted_by_bank() -> None:
    config = EncoderConfig(n_layers=2, d_model=4, d_word=3, n_heads=2, d_ff=5)
    plan = SharingPlan(TREE, Tokens.OWN, Readout.TOKEN, readout_layer=(1, 2, 2))
    projection, layer, norm = 3 * 4 + 4, 4 * (16 + 4) + (20 + 5) + (20 + 4) + 16, 8

    count = plan.n_parameters(config, [2, 3, 2])

    heads = (4 + 1) * (2 + 3 + 2)
    assert count == projection + (2 + 2) * layer + (1 + 2) * norm + 3 * 4 + heads
