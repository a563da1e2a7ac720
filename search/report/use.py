"""How to load the best models of a study: in Python, and on the command line."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search.report.findings import Findings
from search.report.tested import TASK


@dataclass(frozen=True, kw_only=True)
class Use:
    """What to type, from within the study's folder, for the first of its tasks.

    Args:
        lines: What the command line reads, in words.
        has_tasks: Whether single tasks have models of their own.
    """

    python: str
    lines: str
    shell: str
    has_tasks: bool


def use_of(findings: Findings, audit: Mapping[str, Any]) -> Use | None:
    """Return how the best model is used; None where there is none.

    Args:
        audit: `audit.json` of the study, which knows whose texts are pairs.
    """
    if findings.average is None or not findings.tasks:
        return None
    task = findings.tasks[0]
    of_pairs = any(t["name"] == task and t.get("of_pairs") for t in audit.get("tasks", ()))
    seconds = ', ["its second text", "that of the other"]' if of_pairs else ""
    name = json.dumps(task, ensure_ascii=False)
    return Use(
        python='import mtl_core\n\npredictor = mtl_core.load("best/average")\n'
        f'predictor.predict({name}, ["some text", "another"]{seconds})',
        lines="one pair a line with a tab between its texts" if of_pairs else "one text a line",
        shell=f"branchpoint predict --model best/average --task {shlex.quote(task)} < texts.txt",
        has_tasks=any(name.startswith(TASK) for name in findings.models),
    )


def use_section(findings: Findings, audit: Mapping[str, Any]) -> str:
    """Return how to load the best models, as a section of `report.md`."""
    use = use_of(findings, audit)
    if use is None:
        return ""
    rest = ""
    if use.has_tasks:
        rest = (
            "\n\n`best/<task>` holds the model that is best for one task, `best/worst_task` the "
            "one whose worst task is best, where they have their own."
        )
    return (
        "## To use the best model\n\nFrom this folder, in Python\n\n"
        f"```python\n{use.python}\n```\n\n"
        f"or on the command line, {use.lines}\n\n```sh\n{use.shell}\n```{rest}"
    )
