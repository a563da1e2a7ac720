import pytest

from mtl_core.errors import ConfigError
from search.space import parse_space

COUNT = "a whole number of at least 1"


def faults_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_space(text, source="x.yaml")
    return list(caught.value.faults)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("four", f"encoder.d_ff: found 'four', {COUNT} would be right"),
        ("'4'", f"encoder.d_ff: found '4', {COUNT} would be right"),
        ("4.5", f"encoder.d_ff: found 4.5, {COUNT} would be right"),
        ("true", f"encoder.d_ff: found true, {COUNT} would be right"),
        ("0", f"encoder.d_ff: found 0, {COUNT} would be right"),
        ("null", f"encoder.d_ff: found null, {COUNT} would be right"),
        ("[2, 3]", f"encoder.d_ff: found a list, {{choice: [2, 3]}} or {COUNT} would be right"),
        ("{}", "encoder.d_ff: found {}, one of choice, int, float, fixed would be right"),
        ("{chioce: [1]}", "encoder.d_ff: found 'chioce' in a domain, did you mean 'choice'?"),
        (
            "{int: [1, 2], choice: [1]}",
            "encoder.d_ff: found choice and int, one of choice, int, float, fixed would be right",
        ),
        (
            "{when: {structure: stack_cls}}",
            "encoder.d_ff: found {when: {structure: stack_cls}}, one of choice, int, float, fixed "
            "would be right",
        ),
        ("{choice: []}", "encoder.d_ff: found [], a list of at least one value would be right"),
        ("{choice: 3}", "encoder.d_ff: found 3, a list of at least one value would be right"),
        ("{choice: [8, x]}", f"encoder.d_ff: found 'x', {COUNT} would be right"),
        ("{choice: [8, 8]}", "encoder.d_ff: found 8 twice, once would be right"),
        (
            "{choice: [8], log: true}",
            "encoder.d_ff: found 'log', which only int and float ranges have",
        ),
        ("{fixed: 0}", f"encoder.d_ff: found 0, {COUNT} would be right"),
        ("{int: [8, 4]}", "encoder.d_ff: empty range: found low 8 above high 4"),
        ("{int: [0, 4]}", f"encoder.d_ff: found 0, {COUNT} would be right"),
        ("{int: [4]}", "encoder.d_ff: found [4], [low, high] would be right"),
        ("{int: 4}", "encoder.d_ff: found 4, [low, high] would be right"),
        (
            "{int: [1, 2.5]}",
            "encoder.d_ff: found 2.5, a whole number or `n_layers - 1` of a count would be right",
        ),
        (
            "{int: [1, n_layers + 1]}",
            "encoder.d_ff: found 'n_layers + 1', a whole number or `n_layers - 1` of a count "
            "would be right",
        ),
        (
            "{int: [1, n_leyers]}",
            "encoder.d_ff: bound n_leyers: unknown key, did you mean 'n_layers'?",
        ),
        (
            "{int: [1, dropout]}",
            "encoder.d_ff: found the bound 'dropout', but encoder.dropout is no count "
            "(a number of at least 0 and below 1)",
        ),
        ("{int: [1, 4], step: 0}", "encoder.d_ff: found 0, a whole number above 0 would be right"),
        (
            "{int: [1, 4], step: 0.5}",
            "encoder.d_ff: found 0.5, a whole number above 0 would be right",
        ),
        ("{int: [1, 4], log: maybe}", "encoder.d_ff: found 'maybe', true or false would be right"),
        (
            "{int: [1, 4], log: true, step: 2}",
            "encoder.d_ff: found log and step together, one of them would be right",
        ),
        (
            "{float: [1.0, 4.0]}",
            f"encoder.d_ff: found a range of kind float, {COUNT} would be right",
        ),
        (
            "[2, {int: [1, 3], when: {structure: stack_cls}}]",
            "encoder.d_ff: found alternative 1 of 2 without `when`, so that those after it never "
            "apply; at the end of the list it would be right",
        ),
        (
            "{int: [1, 3], when: stack_cls}",
            "encoder.d_ff: found 'stack_cls', a mapping like {structure: [...]} would be right",
        ),
        (
            "{int: [1, 3], when: {structre: stack_cls}}",
            "encoder.d_ff: when structre: unknown key, did you mean 'structure'?",
        ),
        (
            "{int: [1, 3], when: {structure: stack_clss}}",
            "encoder.d_ff: when structure: found 'stack_clss', did you mean 'stack_cls'?",
        ),
        (
            "{int: [1, 3], when: {structure: []}}",
            "encoder.d_ff: when structure: found no value, at least one would be right",
        ),
    ],
)
def test_a_wrong_value_of_a_count_is_one_fault_with_its_line(value: str, fault: str) -> None:
    assert faults_of(f"encoder:\n  n_layers: 2\n  d_ff: {value}\n") == [f"x.yaml:3: {fault}"]


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("learning_rate", "-1e-4", "found -0.0001, a number above 0 would be right"),
        ("learning_rate", ".inf", "found Infinity, a number above 0 would be right"),
        ("learning_rate", "{float: [a, 1]}", "found 'a', a number would be right"),
        ("learning_rate", "{float: [0.1, .nan]}", "found NaN, a number would be right"),
        ("learning_rate", "{float: [1, 0.1]}", "empty range: found low 1 above high 0.1"),
        ("learning_rate", "{float: [0.0, 1.0]}", "found 0.0, a number above 0 would be right"),
        (
            "weight_decay",
            "{float: [0, 1], log: true}",
            "found log with the low 0, a low above 0 would be right",
        ),
        ("warmup", "1.0", "found 1.0, a number of at least 0 and below 1 would be right"),
        (
            "warmup",
            "{float: [0, 1.5]}",
            "found 1.5, a number of at least 0 and below 1 would be right",
        ),
        ("optimizer", "adma", "found 'adma', did you mean 'adam'?"),
        ("optimizer", "7", "found 7, one of adam, adamw would be right"),
        (
            "optimizer",
            "{int: [1, 2]}",
            "found a range of kind int, one of adam, adamw would be right",
        ),
        ("clip_norm", "no", "found 'no', a number above 0 or null would be right"),
    ],
)
def test_a_wrong_value_of_another_type_is_one_fault(key: str, value: str, fault: str) -> None:
    expected = [f"x.yaml:2: training.{key}: {fault}"]

    assert faults_of(f"training:\n  {key}: {value}\n") == expected


def test_a_fault_inside_a_domain_over_several_lines_has_its_own_line() -> None:
    text = "encoder:\n  d_ff:\n    choice:\n    - 8\n    - x\n    - y\n"

    lines = [fault.partition(": ")[0] for fault in faults_of(text)]

    assert lines == ["x.yaml:5", "x.yaml:6"]


def test_weights_by_task_may_be_searched_although_they_are_mappings() -> None:
    space = parse_space(
        "weighting:\n  method: static\n  weights: {choice: [{books: 2}, {dvd: 2, choice: 1}]}\n"
    )

    assert space.size() == 2
    assert space.configure({"weighting.weights": {"books": 2.0}}).weighting.weights == {"books": 2}


def test_a_task_may_be_named_like_a_kind_of_domain() -> None:
    space = parse_space("weighting: {method: static, weights: {choice: 2, when: 1}}\n")

    assert space.configure({}).weighting.weights == {"choice": 2, "when": 1}


def test_one_depth_per_task_is_a_value_and_not_a_list_of_alternatives() -> None:
    space = parse_space("sharing: {divergence_depth: [0, 4, 2]}\n")

    assert space.configure({}).sharing.divergence_depth == (0, 4, 2)


def test_the_first_alternative_that_holds_applies() -> None:
    space = parse_space(
        """
sharing: {structure: {choice: [stack_cls, stack_pooling, single_task]}}
training:
  epochs:
    - {fixed: 3, when: {structure: stack_cls}}
    - {int: [4, 6], when: {sharing.structure: [stack_cls, stack_pooling]}}
    - 9
"""
    )

    epochs = [space.configure(values).training.epochs for values in space.enumerate()]

    assert epochs == [3, 4, 5, 6, 9]
