"""How to do it again: commands quoted for a shell and for Python."""

from dataclasses import replace
from typing import Any

from search.report.findings import Findings
from search.report.html.again import again
from search.report.html.material import Material
from search.space import Space


def test_command_seed_data_and_machine_are_there(
    material: Material, environment_json: dict[str, Any]
) -> None:
    found = again(replace(material, environment=environment_json))

    assert found["command"] == "python -m search.run --space 'spaces/my space.yaml'"
    assert (found["seed"], found["fingerprint"]) == (3, "0123456789abcdef")
    assert found["machine"].endswith("no GPU")
    assert 'mtl_core.load("best/average")' in found["use"].python


def test_names_of_tasks_cannot_end_the_command(make_study: Any, space: Space) -> None:
    study = make_study(['a"; rm -rf ~ #']).train("stack_cls", (0.5,), 1)
    study.test("average", "t0001", (200,))

    found = again(Material(Findings(study.record()), space))

    assert "--task 'a\"; rm -rf ~ #' <" in found["use"].shell
    assert 'predict("a\\"; rm -rf ~ #"' in found["use"].python
