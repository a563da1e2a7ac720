"""What the page is made of: a study's journal, its space, and the files beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mtl_core.errors import ConfigError
from search.costs import costs_of
from search.pareto import Option, pareto_set
from search.report.by_arm import Arms, find_arms
from search.report.findings import Findings, in_order
from search.report.html.figures import Looks
from search.report.html.trials import Column, columns, scored
from search.selection import Selection, select
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
    def selection(self) -> Selection:
        """What the trials are worth, by estimates that pool over trials and tasks."""
        return select(self.findings.record, dev_rows=self._dev_rows)

    @cached_property
    def pareto(self) -> Sequence[Option]:
        """The trials that no other beats on mean, worst task, size and speed."""
        try:
            return pareto_set(self.selection, costs_of(self.findings.record, self.audit))
        except (KeyError, TypeError, ValueError, ConfigError):  # an audit of another version
            return []

    @property
    def _dev_rows(self) -> Mapping[str, int]:
        """Dev rows by task, as the audit counts them; empty where it has been lost."""
        tasks = [task for task in self.audit.get("tasks", ()) if "name" in task]
        splits = {task["name"]: task.get("splits", {}) for task in tasks}
        return {task: of["dev"]["rows"] for task, of in splits.items() if "dev" in of}
