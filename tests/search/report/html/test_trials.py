"""Searched keys as columns: numbers at themselves, options in their order, absent ones apart."""

from typing import Any

from search.report.html.trials import columns, decades
from search.space import Space, parse_space


def test_numbers_options_and_absent_keys(make_study: Any, space: Space) -> None:
    study = make_study().train("single_task", (0.5, 0.5), **{"training.learning_rate": 0.001})
    study.train("stack_cls", (0.6, 0.6), 3, **{"training.learning_rate": 0.002})

    found = {c.key: c for c in columns(space, list(study.record().trials.values()))}

    assert found["sharing.structure"].labels == ["single", "S-C"]
    assert found["sharing.structure"].places == [0.0, 1.0]
    assert found["sharing.divergence_depth"].places == [None, 3.0]
    assert found["training.learning_rate"].places == [0.001, 0.002]
    assert found["training.learning_rate"].log
    assert found["training.learning_rate"].head == "learning_rate"


def test_keys_in_which_no_trial_differs_are_left_out(make_study: Any, space: Space) -> None:
    study = make_study().train("stack_cls", (0.5, 0.5), 1).train("stack_cls", (0.6, 0.6), 2)

    found = columns(space, list(study.record().trials.values()))

    assert [column.key for column in found] == ["sharing.divergence_depth"]


def test_lists_and_names_that_end_alike_stay_apart(make_study: Any) -> None:
    space = parse_space(
        "name: s\nencoder: {dropout: {float: [0.0, 0.5]}}\n"
        "sharing: {divergence_depth: {choice: [[1, 2], [2, 2]]}, structure: stack_cls}\n"
    )
    study = make_study()
    study.train("stack_cls", (0.5, 0.5), [1, 2], **{"a.dropout": 0.1, "b.dropout": "low"})
    study.train("stack_cls", (0.5, 0.5), [2, 2], **{"a.dropout": 0.2, "b.dropout": "high"})

    found = {c.key: c for c in columns(space, list(study.record().trials.values()))}

    assert found["sharing.divergence_depth"].labels == ["[1, 2]", "[2, 2]"]
    assert found["a.dropout"].head == "a.dropout"
    assert found["b.dropout"].labels == ["high", "low"]


def test_a_logarithmic_axis_has_its_ends_and_round_numbers() -> None:
    marks, texts = decades(0.0003, 0.02)

    assert (marks[0], marks[-1]) == (0.0003, 0.02)
    assert {"0.0005", "0.002", "0.01"} & set(texts)
    assert len(marks) <= 9
