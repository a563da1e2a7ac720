import pytest

from mtl_core.errors import ConfigError
from mtl_core.faults import SHOWN, Faults
from mtl_core.yaml_lines import Document, Place


def make_faults(n_lines: int) -> Faults:
    places = {("encoder", str(i)): Place("x.yaml", i) for i in range(1, n_lines + 1)}
    return Faults(Document({}, {**places, (): Place("x.yaml")}))


def test_faults_are_told_by_line_and_those_without_a_line_last() -> None:
    faults = make_faults(3)
    for path in ((), ("encoder", "3"), ("encoder", "1")):
        faults.add(path, "wrong")

    assert faults.lines() == [
        "x.yaml:1: encoder.1: wrong",
        "x.yaml:3: encoder.3: wrong",
        "x.yaml: wrong",
    ]


def test_the_same_fault_is_told_once_and_marks_its_key_as_broken() -> None:
    faults = make_faults(1)
    faults.add(("encoder", "1", "int", 0), "wrong")
    faults.add(("encoder", "1", "int", 1), "wrong")

    assert len(faults.lines()) == 1
    assert faults.broken == {"encoder.1"}


def test_no_fault_raises_nothing_and_faults_raise_one_error() -> None:
    faults = make_faults(1)
    faults.raise_any()
    faults.add(("encoder", "1"), "wrong")

    with pytest.raises(ConfigError, match=r"x\.yaml:1: encoder.1: wrong"):
        faults.raise_any()


def test_of_very_many_faults_the_rest_is_counted() -> None:
    faults = make_faults(SHOWN + 5)
    for path in list(faults.document.places)[:-1]:
        faults.add(path, "wrong")

    assert faults.lines()[-1] == "and 5 more faults"
