import pytest

from mtl_core.errors import ConfigError
from search.space import parse_space


def faults_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_space(text, source="x.yaml")
    return list(caught.value.faults)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (
            "sharing:\n  divergence_depth: 9\n",
            [
                "x.yaml:2: sharing.divergence_depth: found 9 where structure is stack_pooling and "
                "n_layers is 4, 0 to 4 would be right"
            ],
        ),
        (
            "encoder: {n_layers: {choice: [2, 3]}}\ntraining:\n  frozen_layers: 3\n",
            [
                "x.yaml:3: training.frozen_layers: found 3 where n_layers is 2, 0 to 2 would be "
                "right"
            ],
        ),
        (
            "sharing: {structure: layerwise_explicit, divergence_depth: 4}\n",
            [
                "x.yaml:1: sharing.divergence_depth: found 4 where structure is layerwise_explicit "
                "and n_layers is 4, 0 to 3 would be right"
            ],
        ),
        (
            "sharing: {structure: layerwise_explicit, divergence_depth: [0, 4]}\n",
            [
                "x.yaml:1: sharing.divergence_depth: found [0, 4] where structure is "
                "layerwise_explicit and n_layers is 4, 0 to 3 would be right"
            ],
        ),
        (
            "sharing:\n  structure: single_task\n  divergence_depth: 0\n",
            [
                "x.yaml:3: sharing.divergence_depth: found 0 where structure is single_task, which "
                "has no depth; a `when` with the other structures would be right"
            ],
        ),
        (
            "encoder: {n_layers: {int: [2, 3]}}\nsharing:\n  divergence_depth: {int: [2, 3]}\n",
            [
                "x.yaml:3: sharing.divergence_depth: found 3 where structure is stack_pooling and "
                "n_layers is 2, 0 to 2 would be right"
            ],
        ),
        (
            "sharing:\n  structure: layerwise_implicit\n  token_attention: own\n"
            "  other_tokens: {choice: [free, gated]}\n",
            [
                "x.yaml:3: sharing.token_attention: found 'own' where structure is "
                "layerwise_implicit, which has no tokens of other tasks; a `when` with "
                "layerwise_explicit would be right",
                "x.yaml:4: sharing.other_tokens: found 'gated' where structure is "
                "layerwise_implicit, which has no tokens of other tasks; a `when` with "
                "layerwise_explicit would be right",
            ],
        ),
        (
            "encoder:\n  d_model: {choice: [48, 60]}\n  n_heads: {choice: [6, 8]}\n",
            [
                "x.yaml:2: encoder.d_model: d_model 60 cannot be split over n_heads 8; "
                "choose a multiple of 8"
            ],
        ),
        (
            "weighting:\n  method: {choice: [equal, static]}\n",
            [
                "x.yaml:2: weighting.method: found no weights where method is static, a weight by "
                "task name would be right"
            ],
        ),
        (
            "encoder:\n  n_layers: {int: [1, 3]}\n"
            "sharing:\n  divergence_depth: {int: [1, n_layers - 1]}\n",
            [
                "x.yaml:4: sharing.divergence_depth: empty range: found low 1 above high 0 where "
                "encoder.n_layers is 1"
            ],
        ),
        (
            "encoder:\n  n_layers: {int: [1, 3]}\ntraining:\n  epochs: {int: [n_layers - 1, 9]}\n",
            [
                "x.yaml:4: training.epochs: found the bound 0 where encoder.n_layers is 1, "
                "a whole number of at least 1 would be right"
            ],
        ),
        (
            "encoder:\n  n_layers: {int: [1, 3]}\n"
            "sharing:\n  divergence_depth: {int: [n_layers - 1, 3], log: true}\n",
            [
                "x.yaml:4: sharing.divergence_depth: found log with the low 0 where "
                "encoder.n_layers is 1, a low above 0 would be right"
            ],
        ),
        (
            "encoder:\n  d_ff: {choice: [8, 9], when: {structure: stack_cls}}\n",
            [
                "x.yaml:2: encoder.d_ff: when sharing.structure is 'stack_cls', but it only takes "
                "its default, 'stack_pooling'"
            ],
        ),
        (
            "encoder:\n  d_ff:\n  - 8\n  - {fixed: 9}\n"
            "  d_word:\n  - fixed: 8\n    when: {structure: stack_cls}\n"
            "sharing: {structure: {choice: [single_task, stack_pooling]}}\n",
            [
                "x.yaml:3: encoder.d_ff: found alternative 1 of 2 without `when`, so that those "
                "after it never apply; at the end of the list it would be right",
                "x.yaml:7: encoder.d_word: when sharing.structure is 'stack_cls', but it only "
                "takes single_task | stack_pooling",
            ],
        ),
        (
            "encoder: {n_layers: {int: [1, 3]}}\n"
            "sharing: {divergence_depth: {int: [0, n_layers]}}\n"
            "training: {epochs: {fixed: 2, when: {divergence_depth: [3, 4]}}}\n",
            [
                "x.yaml:3: training.epochs: when sharing.divergence_depth is 4, but it only takes "
                "0 .. n_layers"
            ],
        ),
        (
            "encoder:\n  n_layers: {int: [1, 2], when: {d_ff: 3}}\n  d_ff: {int: [1, n_layers]}\n",
            [
                "x.yaml:2: encoder.n_layers: circular conditions: encoder.n_layers needs "
                "encoder.d_ff needs encoder.n_layers"
            ],
        ),
        (
            "encoder:\n  d_ff: {int: [1, 2], when: {d_ff: 1}}\n",
            [
                "x.yaml:2: encoder.d_ff: circular conditions: encoder.d_ff needs encoder.d_ff",
            ],
        ),
        (
            "search:\n  sampler: grid\ntraining:\n  learning_rate: {float: [1e-4, 1e-2]}\n",
            [
                "x.yaml:2: search.sampler: found grid, but a range has no step; tpe or random "
                "would be right"
            ],
        ),
    ],
)
def test_keys_that_do_not_go_together_are_told_with_the_combination(
    text: str, faults: list[str]
) -> None:
    assert faults_of(text) == faults


def test_of_many_impossible_combinations_three_are_named() -> None:
    faults = faults_of("encoder: {d_model: {int: [99, 105]}, n_heads: 7}\n")

    assert len(faults) == 3 + 1
    assert faults[-1] == "x.yaml:1: encoder.d_model: and 3 more such combinations"


def test_impossible_combinations_among_very_many_are_found_by_drawing() -> None:
    faults = faults_of("encoder: {d_model: {int: [700, 70000]}, n_heads: 7}\n")

    assert "cannot be split over n_heads 7" in faults[0]


def test_a_condition_may_ask_for_the_default_of_a_key_that_may_not_apply() -> None:
    space = parse_space(
        """
sharing:
  structure: {choice: [single_task, stack_cls]}
  divergence_depth: {int: [0, 2], when: {structure: stack_cls}}
training:
  epochs: {int: [1, 3], when: {divergence_depth: null}}
"""
    )

    assert space.size() == 3 + 3


def test_a_condition_spares_a_bound_from_being_empty() -> None:
    space = parse_space(
        """
encoder: {n_layers: {int: [1, 3]}}
sharing: {divergence_depth: {int: [1, n_layers - 1], when: {n_layers: [2, 3]}}}
"""
    )

    assert space.size() == 1 + 1 + 2
