"""Which arm a configuration belongs to."""

from search.arms import arm_of, role_of

BASE = {"encoder": {"n_layers": 2}, "weighting": {"method": "dwa"}}


def config(structure: str) -> dict[str, dict[str, object]]:
    return {**BASE, "sharing": {"structure": structure, "divergence_depth": None}}


def test_arms_are_the_structures_unless_other_keys_are_named() -> None:
    assert arm_of(config("stack_cls")) == "stack_cls"
    assert role_of("stack_cls") == "structure:stack_cls"


def test_an_arm_of_other_keys_says_their_values() -> None:
    keys = ("weighting.method", "encoder.n_layers")

    assert arm_of(config("stack_cls"), keys) == "method dwa, n_layers 2"
    assert role_of("method dwa", keys) == "arm:method dwa"
    assert arm_of(config("stack_cls"), ("sharing.structure", "sharing.divergence_depth")) == (
        "stack_cls, divergence_depth null"
    )


def test_what_shares_nothing_is_one_arm_whatever_the_keys() -> None:
    assert arm_of(config("single_task"), ("weighting.method",)) == "single_task"
