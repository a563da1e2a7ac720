import pytest

from mtl_core.errors import ConfigError
from search.points import canonical
from search.space import parse_space

SPACE = """
encoder: {d_ff: {choice: [8, 16]}}
sharing:
  structure: {choice: [single_task, stack_cls]}
  divergence_depth: {int: [0, 2], when: {structure: stack_cls}}
training: {learning_rate: {float: [1e-4, 1e-2], log: true}}
points:
"""


def faults_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_space(text, source="x.yaml")
    return list(caught.value.faults)


@pytest.mark.parametrize(
    ("point", "fault"),
    [
        ("d_ff: 9, structure: single_task", "points.d_ff: found 9, 8 | 16 would be right"),
        (
            "d_ff: 8, structure: stack_cls, divergence_depth: 3",
            "points.divergence_depth: found 3, 0 .. 2 would be right",
        ),
        (
            "d_ff: 8, structure: single_task, learning_rate: 1",
            "points.learning_rate: found 1.0, 0.0001 .. 0.01, log would be right",
        ),
        (
            "d_ff: 8, structure: single_task, divergence_depth: 1",
            "points.divergence_depth: found 1, but the key does not apply to this point",
        ),
        (
            "structure: stack_cls",
            "points: found no value of d_ff (8 | 16), divergence_depth (0 .. 2)",
        ),
        (
            "d_ff: 8, structure: single_task, n_layers: 3",
            "points.n_layers: found 3, but this space has it fixed at 4",
        ),
        (
            "d_ff: 8, structre: single_task",
            "points.structre: unknown key, did you mean 'structure'?",
        ),
    ],
)
def test_a_point_that_is_not_of_the_space_is_told(point: str, fault: str) -> None:
    assert faults_of(f"{SPACE}- {{{point}}}\n") == [f"x.yaml:8: {fault}"]


def test_the_same_point_twice_is_told() -> None:
    text = "- {d_ff: 8, structure: single_task}\n- {d_ff: 8, sharing.structure: single_task}\n"

    assert faults_of(SPACE + text) == [
        "x.yaml:9: points: point 2 is the same configuration as point 1"
    ]


def test_a_key_that_a_point_leaves_out_takes_its_default_where_the_space_has_it() -> None:
    space = parse_space(f"{SPACE}- {{d_ff: 8, structure: single_task}}\n")

    assert space.points[0]["training.learning_rate"] == 5e-4


def test_a_point_may_name_fixed_keys_with_the_value_they_have() -> None:
    space = parse_space(
        f"{SPACE}- {{d_ff: 8, structure: single_task, n_layers: 4, dropout: 0.1}}\n"
    )

    assert set(space.points[0]) == {"encoder.d_ff", "sharing.structure", "training.learning_rate"}


def test_equal_values_have_equal_texts_whatever_their_order() -> None:
    assert canonical({"a": 1, "b": [1, 2]}) == canonical({"b": [1, 2], "a": 1})
    assert canonical({"a": 1}) != canonical({"a": None})
