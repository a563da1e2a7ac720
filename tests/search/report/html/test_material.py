"""What is known of dev rows, from what was tested or else from the audit."""

from typing import Any

from search.report.findings import Findings
from search.report.html.material import Material
from search.space import Space


def audited(metric: str = "accuracy") -> dict[str, Any]:
    return {"tasks": [{"name": "books", "metric": metric, "splits": {"dev": {"rows": 77}}}]}


def test_dev_rows_are_those_of_what_was_tested(material: Material) -> None:
    assert material.dev_rows == {"books": 200, "films": 200}


def test_before_the_test_the_audit_knows_them(make_study: Any, space: Space) -> None:
    findings = Findings(make_study().record())

    assert Material(findings, space, audit=audited()).dev_rows == {"books": 77}
    assert Material(findings, space, audit=audited("matthews")).dev_rows == {}
    assert Material(findings, space).dev_rows == {}
