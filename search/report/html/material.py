"""What the page is made of: a study's journal, its space, and the files beside them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from search.report.arms import Arms, find_arms
from search.report.findings import Findings, in_order
from search.report.html.figures import Looks
from search.report.html.trials import Column, columns, scored
from search.space import Space
from search.trial_record import TrialRecord


@dataclass(frozen=True)
class Material:
    """All that the page says comes from here.

    Args:
        audit, environment, affinity: The JSON files of the study; empty where there is none.
    """

    findings: Findings
    space: Space
    audit: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    affinity: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.findings.record.header.get("name", "study"))

    @cached_property
    def trials(self) -> list[TrialRecord]:
        return list(self.findings.record.trials.values())

    @cached_property
    def scored(self) -> list[TrialRecord]:
        """The trials that have a dev score."""
        return scored(self.trials)

    @cached_property
    def looks(self) -> Looks:
        return Looks(in_order({trial.structure for trial in self.trials}))

    @cached_property
    def arms(self) -> Arms:
        return find_arms(self.findings)

    @cached_property
    def columns(self) -> list[Column]:
        return columns(self.space, self.scored)

    @cached_property
    def dev_rows(self) -> Mapping[str, int]:
        """Dev rows by task; empty where they are not known or scores are no accuracy."""
        if not self.findings.of_accuracy:
            return {}
        tested = next(
            iter((*self.findings.baselines.values(), *self.findings.models.values())), None
        )
        if tested is not None:
            return tested.dev_rows
        tasks = self.audit.get("tasks", ())
        if any(task.get("metric") != "accuracy" for task in tasks):
            return {}
        return {task["name"]: task["splits"]["dev"]["rows"] for task in tasks}
