"""`report.md`: the answer first, then what it rests on.

Sections, in order: the answer; what was trained anew (`by_seed.py`); tasks x structures
(`by_structure.py`); the best of each task and where sharing hurts (`by_task.py`); how the tasks
relate (`affinity_words.py`); how the search went, the data, how to do it again and use the models
(`account.py`). A section without anything to say is left out.
"""

from collections.abc import Mapping
from typing import Any

from search.report.account import data_section, reproduce_section, search_section
from search.report.affinity_words import affinity_section
from search.report.basis import basis
from search.report.by_seed import confirmation_section
from search.report.by_structure import structures_section
from search.report.by_task import tasks_section, transfer_section
from search.report.faults import faults
from search.report.findings import Findings
from search.report.headline import answer, comparison, question
from search.report.marks import MARKDOWN
from search.report.use import use_section
from search.report.wording import escape, wrapped


def markdown(
    findings: Findings,
    *,
    audit: Mapping[str, Any],
    environment: Mapping[str, Any],
    affinity: Mapping[str, Any] | None = None,
    n_configurations: int | None = None,
) -> str:
    """Return the whole report.

    Args:
        audit: `audit.json` of the study.
        environment: `environment.json` of the study.
        affinity: `affinity.json` of the study, if there is one.
        n_configurations: Size of the search space; None when it is infinite or not known.
    """
    name = escape(findings.record.header.get("name", "study"))
    title = f"# {name}: {question(findings)}"
    sections = [
        title,
        *answer(findings, MARKDOWN),
        comparison(findings, MARKDOWN),
        basis(findings, MARKDOWN),
        _faults(findings),
        confirmation_section(findings),
        structures_section(findings),
        tasks_section(findings),
        transfer_section(findings),
        affinity_section(affinity or {}),
        search_section(findings, n_configurations),
        data_section(audit),
        reproduce_section(findings, environment),
        use_section(findings, audit),
    ]
    return wrapped("\n\n".join(section for section in sections if section)) + "\n"


def _faults(findings: Findings) -> str:
    return "\n".join(f"- **Warning**: {escape(fault)}" for fault in faults(findings))
