"""What should not be in a study's findings, said as warnings in its reports.

A model that was loaded to be tested must score on dev what its trial, or its run, reported; and
what leads must have been tested.
"""

from collections.abc import Mapping, Sequence

from search.confirm_record import RunRecord
from search.report.findings import Findings
from search.report.tested import Tested


def faults(findings: Findings) -> list[str]:
    """Return what should not be: dev scores unlike those of the search, leaders not tested."""
    if findings.confirmation:
        return [text for run in findings.record.confirmed for text in _run_fault(run)]
    found = [text for model in findings.models.values() for text in _dev_fault(model)]
    for name, leader in findings.record.leaders().items():
        model = findings.models.get(name)
        at = None if model is None or model.trial is None else (model.trial.id, model.epoch)
        if findings.models and at != (leader.trial, leader.epoch):
            found.append(f"{name}: {leader.trial}, epoch {leader.epoch} leads, but is untested")
    return found


def _dev_fault(model: Tested) -> list[str]:
    """Say so when a model, loaded again, does not score on dev what its trial reported."""
    assert model.trial is not None
    report = next((r for r in model.trial.reports if r.epoch == model.epoch), None)
    if report is None:
        return [f"{model.name}: {model.trial.id} has no report of epoch {model.epoch} any more"]
    off = _unlike(report.scores, model.dev)
    where = f"{model.name}: {model.trial.id}, epoch {model.epoch}"
    return [f"{where}: dev differs from what the search saw on {', '.join(off)}"] if off else []


def _run_fault(run: RunRecord) -> list[str]:
    """Say so when a run's weights, loaded for the test, do not score what its epoch reported."""
    off = _unlike((run.found or {}).get("reported", {}), run.dev)
    where = f"{run.id} of {run.trial}, epoch {run.epoch}"
    return [f"{where}: dev differs from what it reported on {', '.join(off)}"] if off else []


def _unlike(one: Mapping[str, float | None], other: Mapping[str, float]) -> Sequence[str]:
    """Return the tasks on which two dev scores differ."""
    return [t for t, found in one.items() if abs((found or 0.0) - other[t]) > 1e-6]
