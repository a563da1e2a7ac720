"""What a click shows: of the models that the page names, and of no others."""

from typing import Any

from search.report.by_arm import find_arms
from search.report.findings import Findings
from search.report.html.details import details
from search.selection import select


def test_named_models_have_settings_and_curves(whole: Any) -> None:
    findings = Findings(whole.record())

    found = details(findings, find_arms(findings), select(findings.record))

    assert set(found) == {"t0001", "t0002", "t0003"}  # t0004 failed and is named nowhere
    assert found["t0003"]["values"] == {
        "sharing.divergence_depth": "1", "sharing.structure": "layerwise_implicit",
        "training.learning_rate": "0.001",
    }  # fmt: skip
    assert found["t0003"]["scores"] == {"books": [81.0], "films": [90.0]}
    assert found["t0003"]["config"]["encoder"]["pretrained"] == "–"
    assert found["t0001"]["seed"] == "1"
