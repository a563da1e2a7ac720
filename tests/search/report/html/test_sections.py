"""Which sections there are: all of a finished study's, and no empty ones."""

from dataclasses import replace
from typing import Any

from search.report.findings import Findings
from search.report.html.material import Material
from search.report.html.sections import sections
from search.space import Space


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


def test_names_of_figures_are_no_two_the_same(material: Material) -> None:
    names = [figure.name for section in sections(material) for figure in section.figures]

    assert len(set(names)) == len(names)
    assert len(names) >= 9
