import pytest

from mtl_core.errors import ConfigError
from search.space import parse_space

NAME = (
    "it names a folder: a text of up to 100 of A-Z, a-z, 0-9, '.', '_', '-', not first a sign, "
    "would be right"
)


def faults_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_space(text, source="x.yaml")
    return list(caught.value.faults)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ["x.yaml: empty; a mapping with encoder:, sharing:, ... would be right"]),
        ("# nothing\n", ["x.yaml: empty; a mapping with encoder:, sharing:, ... would be right"]),
        ("hello", ["x.yaml: found 'hello', a mapping of sections would be right"]),
        ("- a\n- b\n", ["x.yaml: found [a, b], a mapping of sections would be right"]),
        ("encoder: 4\n", ["x.yaml:1: encoder: found 4, a mapping of keys would be right"]),
        (
            "\nname: a/b\n",
            [f"x.yaml:2: name: found 'a/b'; {NAME}"],
        ),
        ("name: Übung\n", [f"x.yaml:1: name: found 'Übung'; {NAME}"]),
        ("name: 3\n", [f"x.yaml:1: name: found 3; {NAME}"]),
        (
            "encoder:\n  n_layer: 2\n",
            ["x.yaml:2: encoder.n_layer: unknown key, did you mean 'n_layers'?"],
        ),
        (
            "encoder:\n  learning_rate: 2\n",
            [
                "x.yaml:2: encoder.learning_rate: unknown key, did you mean "
                "'training.learning_rate'?"
            ],
        ),
        ("encoder:\n  zzz: 2\n", ["x.yaml:2: encoder.zzz: unknown key"]),
        (
            "search:\n  trials: 0\n  sampler: bayes\n  retrys: 3\n",
            [
                "x.yaml:2: search.trials: found 0, a whole number of at least 1 would be right",
                "x.yaml:3: search.sampler: found 'bayes', one of tpe, random, grid would be right",
                "x.yaml:4: search.retrys: unknown key, did you mean 'retries'?",
            ],
        ),
        (
            "search:\n  trials: {choice: [1, 2]}\n",
            ["x.yaml:2: search.trials: cannot be searched, a fixed value would be right"],
        ),
        (
            "search:\n  early_stopping:\n    reduction_factor: 1\n",
            [
                "x.yaml:3: search.early_stopping.reduction_factor: found 1, a whole number of at "
                "least 2 would be right"
            ],
        ),
        (
            "data:\n  builtin:\n    n_task: 3\n  tasks: books\n",
            [
                "x.yaml:3: data.builtin.n_task: unknown key, did you mean 'n_tasks'?",
                "x.yaml:4: data.tasks: found 'books', a list (of each: a text) would be right",
            ],
        ),
        ("points: 3\n", ["x.yaml:1: points: found 3, a list of mappings would be right"]),
        ("points: [3]\n", ["x.yaml:1: points: found 3, a mapping of keys would be right"]),
        (
            "points:\n- structre: stack_cls\n  method: eqal\n",
            [
                "x.yaml:2: points.structre: unknown key, did you mean 'structure'?",
                "x.yaml:3: points.method: found 'eqal', did you mean 'equal'?",
            ],
        ),
        (
            "points:\n- {n_layers: 4, encoder.n_layers: 4}\n",
            ["x.yaml:2: points.encoder.n_layers: found twice, also as n_layers"],
        ),
    ],
)
def test_a_wrong_section_is_told_with_its_line(text: str, faults: list[str]) -> None:
    assert faults_of(text) == faults


def test_an_unknown_section_is_told_with_those_that_are_known() -> None:
    (fault,) = faults_of("encodr: {n_layers: 2}\n")

    assert fault.startswith("x.yaml:1: encodr: unknown section, did you mean 'encoder'?; known:")


def test_all_faults_of_a_file_are_told_at_once_in_the_order_of_lines() -> None:
    text = """name: many
encoder:
  n_layer: 2
  d_model: {choice: [48, 50]}
sharing:
  structure: stack_poling
training:
  learning_rate: 0
  epochs: 3
  epochs: 4
points:
- {d_model: 7}
"""
    lines = [fault.partition(": ")[0] for fault in faults_of(text)]

    assert lines == ["x.yaml:3", "x.yaml:4", "x.yaml:6", "x.yaml:8", "x.yaml:10"]


def test_an_empty_section_is_as_if_it_were_not_there() -> None:
    assert parse_space("encoder:\nsearch:\n").digest() == parse_space("{}").digest()


def test_early_stopping_can_be_null() -> None:
    assert parse_space("search: {early_stopping: null}").search.early_stopping is None
