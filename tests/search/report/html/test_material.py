"""What is worked out once for all sections: dev rows, estimates, the set that nobody beats."""

from typing import Any

from search.report.findings import Findings
from search.report.html.material import Material
from search.space import Space


def audited(**split: Any) -> dict[str, Any]:
    of_split = {"rows": 77, "lengths": {"mean": 10.0}, **split}
    task = {
        "kind": "classification", "of_pairs": False, "labels": ["a", "b"], "vocabulary": 50,
        "splits": {"dev": of_split, "test": of_split},
    }  # fmt: skip
    tasks = [{"name": name, **task} for name in ("books", "films")]
    return {"tasks": tasks, "max_words": 64, "vocabulary": 80}


def test_estimates_take_the_dev_rows_of_the_audit(many: Any, space: Space) -> None:
    findings = Findings(many.record())

    few = Material(findings, space, audit=audited(rows=20)).selection
    lots = Material(findings, space, audit=audited(rows=20_000)).selection

    assert few.estimates["average"]["t0001"].error > lots.estimates["average"]["t0001"].error


def test_the_set_needs_the_audit_for_its_costs(many: Any, space: Space) -> None:
    findings = Findings(many.record())

    found = Material(findings, space, audit=audited()).pareto

    assert found
    assert all(option.parameters > 0 for option in found)
    assert Material(findings, space).pareto == []
    assert Material(findings, space, audit={"tasks": [{"name": "books"}]}).pareto == []
