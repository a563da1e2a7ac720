"""Which sections there are: all of a finished study's, and no empty ones."""

from dataclasses import replace
from typing import Any

from search.report.findings import Findings
from search.report.html.material import Material
from search.report.html.sections import sections
from search.space import Space, parse_space


def test_a_finished_study_has_all_that_it_can_have(
    material: Material, audit_json: dict[str, Any], affinity_of: Any
) -> None:
    whole = replace(material, audit=audit_json, affinity=affinity_of(["books", "films"]))
    audit_json["tasks"][0] |= {"name": "books", "splits": {}}

    assert [section.name for section in sections(whole)] == [
        "tasks", "depth", "plans", "settings", "front", "curves", "relations", "data", "search",
        "again",
    ]  # fmt: skip


def test_what_is_absent_is_left_out(make_study: Any, space: Space) -> None:
    found = sections(Material(Findings(make_study().record()), space))

    assert [section.name for section in found] == ["again"]


def test_of_very_many_settings_those_that_decide_least_are_left_out(make_study: Any) -> None:
    study, keys = make_study(), [f"training.key_{at}" for at in range(15)]
    for at in range(9):
        study.train("stack_cls", (0.5, 0.6), 1, **dict.fromkeys(keys, at))
    findings = Findings(study.record())

    found = sections(Material(findings, parse_space("name: s\n")))

    settings = next(section for section in found if section.name == "settings")
    assert len(settings.values["slices"]) == 12
    assert settings.values["left"] == 3


def test_names_of_figures_are_no_two_the_same(material: Material) -> None:
    names = [figure.name for section in sections(material) for figure in section.figures]

    assert len(set(names)) == len(names)
    assert len(names) >= 9
