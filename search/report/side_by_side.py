"""Studies side by side: what differs in space, data and versions, and what they found.

Scores of different studies can be set against each other row by row only where both have tested
the same rows: then the difference has an interval, as within a study.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.question import settings
from search.report.findings import Findings
from search.report.intervals import difference, differences
from search.report.statistics import Difference, Score
from search.report.wording import NOTHING, value_in_words
from search.space import Space

Lines = dict[str, list[str]]  # what something is in each study, in their order


@dataclass(frozen=True)
class Side:
    """One of the studies.

    Args:
        label: What tells it from the others.
        audit, environment: Its JSON files; empty where there is none.
    """

    label: str
    findings: Findings
    space: Space
    audit: Mapping[str, Any]
    environment: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        return str(self.findings.record.header.get("data_fingerprint", ""))


def differences_of_spaces(sides: Sequence[Side]) -> Lines:
    """Return the keys of the spaces that are not the same in all studies."""
    return _differing(
        [{key: _text(value) for key, value in settings(side.space).items()} for side in sides]
    )


def differences_of_data(sides: Sequence[Side]) -> Lines:
    """Return what differs in the data: their hash, the tasks, the rows of each split."""
    return _differing([_data_of(side) for side in sides])


def differences_of_versions(sides: Sequence[Side]) -> Lines:
    """Return what differs in versions, commit and machine."""
    return _differing([_versions_of(side.environment) for side in sides])


def common_tasks(sides: Sequence[Side]) -> list[str]:
    """Return the tasks that all studies have, in the order of the first."""
    return [t for t in sides[0].findings.tasks if all(t in side.findings.tasks for side in sides)]


def less_the_first(
    sides: Sequence[Side], tasks: Sequence[str], task: str | None = None
) -> list[Difference | None]:
    """Return the best on average of each study less that of the first, on the mean over `tasks`.

    None for the first itself, for what was not tested, and where the rows are not the same.

    Args:
        task: One of `tasks`, on which alone the difference is.
    """
    first = sides[0].findings.average
    found: list[Difference | None] = []
    for side in sides:
        mine = side.findings.average
        alike = side.fingerprint == sides[0].fingerprint and side is not sides[0]
        if first is None or mine is None or not alike or not tasks:
            found.append(None)
        elif task is None:
            found.append(difference(mine.test_runs, first.test_runs, tasks))
        else:
            found.append(differences(mine.test_runs, first.test_runs, tasks).get(task))
    return found


def scores_of(sides: Sequence[Side], tasks: Sequence[str], task: str | None) -> list[Score | None]:
    """Return what the best on average of each study scores on `task`, or the mean over `tasks`."""
    found: list[Score | None] = []
    for side in sides:
        findings, best = side.findings, side.findings.average
        if best is None:
            found.append(None)
        elif task is None:
            found.append(findings.score(best, tasks))
        else:
            found.append(findings.score_of_task(best, task))
    return found


def _differing(sides: Sequence[Mapping[str, str]]) -> Lines:
    keys = dict.fromkeys(key for side in sides for key in side)
    lines = {key: [side.get(key, NOTHING) for side in sides] for key in keys}
    return {key: values for key, values in lines.items() if len(set(values)) > 1}


def _data_of(side: Side) -> dict[str, str]:
    found = {"hash": side.fingerprint[:16], "tasks": ", ".join(side.findings.tasks)}
    found["tasks, number"] = str(len(side.findings.tasks))
    for split in ("train", "dev", "test"):
        rows = [
            task["splits"][split]["rows"]
            for task in side.audit.get("tasks", ())
            if split in task.get("splits", {})
        ]
        if rows:
            found[f"{split} rows"] = f"{sum(rows):,}"
    return found


def _versions_of(environment: Mapping[str, Any]) -> dict[str, str]:
    found = {str(name): str(number) for name, number in environment.get("versions", {}).items()}
    if environment.get("git_commit"):
        dirty = " (changed)" if environment.get("git_dirty") else ""
        found["commit"] = str(environment["git_commit"])[:12] + dirty
    for key, value in environment.get("machine", {}).items():
        found[f"machine, {key}"] = _text(value) if value else NOTHING
    return found


def _text(value: Any) -> str:
    """Return a value on one line; mappings as YAML's flow style would have them."""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, default=str).replace('"', "")
    return value_in_words(value)
