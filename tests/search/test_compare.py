"""The arms of a space, and what a space must have for them to be compared."""

import pytest

from mtl_core.errors import ConfigError
from search.arms import SINGLE_TASK, STRUCTURE
from search.compare import arm_keys, arms_of
from search.space import Space, parse_space

SPACE = """
search: {mode: compare, trials: 12}
data: {source: builtin}
encoder: {n_layers: 2}
sharing:
  structure: {choice: [single_task, stack_pooling, layerwise_implicit]}
  divergence_depth:
    - {int: [0, n_layers], when: {structure: stack_pooling}}
    - {int: [0, n_layers - 1], when: {structure: layerwise_implicit}}
weighting: {method: {choice: [equal, dwa]}}
training: {learning_rate: {float: [1.0e-4, 1.0e-2], log: true}}
"""


def changed(*overrides: str) -> Space:
    return parse_space(SPACE, overrides=overrides)


def faults_of(*overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        changed(*overrides)
    return list(caught.value.faults)


def names_of(space: Space) -> list[str]:
    return [arm.name for arm in arms_of(space.conditional, arm_keys(space.search))]


def test_the_arms_are_the_structures_in_their_order() -> None:
    arms = arms_of(changed().conditional, (STRUCTURE,))

    assert [arm.name for arm in arms] == [SINGLE_TASK, "stack_pooling", "layerwise_implicit"]
    assert arms[1].pinned == {STRUCTURE: "stack_pooling"}


def test_arms_of_another_key_have_single_task_beside_them() -> None:
    assert names_of(changed("arms=[method]", "trials=12")) == [
        SINGLE_TASK,
        "method equal",
        "method dwa",
    ]


def test_arms_of_two_keys_are_the_combinations_that_there_are() -> None:
    assert names_of(changed("arms=[structure, divergence_depth]", "trials=12")) == [
        SINGLE_TASK,
        "stack_pooling, divergence_depth 0",
        "stack_pooling, divergence_depth 1",
        "stack_pooling, divergence_depth 2",
        "layerwise_implicit, divergence_depth 0",
        "layerwise_implicit, divergence_depth 1",
    ]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["arms=[structur]"],
            "search.arms: found 'structur': unknown key, did you mean 'structure'?",
        ),
        (
            ["arms=[n_layers]"],
            "search.arms: found 'n_layers', which this space does not search, one of "
            "sharing.divergence_depth, sharing.structure, training.learning_rate, "
            "weighting.method would be right",
        ),
        (
            ["arms=[learning_rate]"],
            "search.arms: found 'learning_rate', which has endlessly many values; "
            "a choice of a few would be right",
        ),
        (["arms=[]"], "search.arms: found none, sharing.structure would be right"),
        (
            ["trials=13"],
            "search.trials: found 13 for 3 arms of as many trials each, 12 or 15 would be right",
        ),
        (
            ["trials=2"],
            "search.trials: found 2 for 3 arms of as many trials each, 3 would be right",
        ),
        (
            ["sharing.structure={choice: [stack_pooling, layerwise_implicit]}"],
            "search.mode: found compare, but structure is never single_task, which every arm is "
            "held against; single_task among the values of sharing.structure would be right",
        ),
        (
            ["sharing.structure=single_task", "arms=[method]"],
            "search.mode: found compare, but all trials are of one arm, single_task",
        ),
        (["mode=both"], "search.mode: found 'both', one of find, compare would be right"),
        (["objective=task"], "search.objective: found 'task'"),
    ],
)
def test_a_space_that_cannot_be_compared_says_why(overrides: list[str], message: str) -> None:
    assert any(message in fault for fault in faults_of(*overrides)), faults_of(*overrides)


def test_the_line_of_the_fault_is_named() -> None:
    with pytest.raises(ConfigError, match=r"x\.yaml:2: search\.trials: found 13"):
        parse_space(SPACE.replace("trials: 12", "trials: 13"), source="x.yaml")


def test_an_arm_must_have_room_for_its_points() -> None:
    points = "points:\n" + "".join(
        f"  - {{structure: single_task, method: equal, learning_rate: {rate}}}\n"
        for rate in ("1.0e-3", "2.0e-3")
    )
    parse_space(SPACE.replace("12", "6") + points)  # two trials an arm

    with pytest.raises(ConfigError, match="arm 'single_task' has 1 trial, this is its point 2"):
        parse_space(SPACE.replace("12", "3") + points)


def test_in_find_mode_any_number_of_trials_and_no_single_task_will_do() -> None:
    space = changed("mode=find", "trials=13", "sharing.structure=stack_pooling")

    assert space.search.trials == 13


def test_no_trial_of_a_comparison_is_stopped_early() -> None:
    assert changed().search.stopping is None
    assert changed("mode=find").search.stopping is not None


def test_what_is_compared_decides_which_study_it_is() -> None:
    assert changed().digest() != changed("mode=find").digest()
    assert changed().digest() != changed("arms=[method]").digest()
    assert changed().digest() == changed("trials=15").digest()
    assert changed("mode=find").digest() == changed("mode=find", "arms=[method]").digest()
    assert changed("mode=find").digest() != changed("mode=find", "objective=worst_task").digest()
