"""What was trained anew: each configuration of the shortlist with its runs, and how it stands.

All of them are here, winners or not, so that nobody has to trust the choice among them.
"""

from collections.abc import Sequence

from search.report.confirmation import Confirmation, Subject
from search.report.findings import Findings
from search.report.tested import ARM, AVERAGE, SINGLE_TASK, STRUCTURE, TASK
from search.report.wording import (
    SHORT,
    count,
    depth_cell,
    duration,
    escape,
    interval,
    listed,
    percent,
    plus_minus,
    short,
    table,
    verdict,
)

ROLES = {
    "average": "the average",
    "worst_task": "the worst task",
    "equal_weights": "equal weights",
    "weighted": "the weighted mean",
}
HEAD = [
    "trial", "structure", "depth", "weighting", "in the search best for", "runs", "search", "dev",
    "test ± 95%", "less single-task (95% interval)", "",
]  # fmt: skip


def confirmation_section(findings: Findings) -> str:
    """Return the table of what was confirmed, and what came to nothing."""
    found = findings.confirmation
    if found is None:
        return ""
    ordered = sorted(found.subjects, key=lambda subject: -subject.dev)
    rows = [_row(findings, found, subject) for subject in ordered]
    parts = [
        "## What was trained anew",
        f"The shortlist of the search, {count(len(found.subjects), 'configuration')}, from scratch "
        f"with fresh seeds: {count(found.n_runs, 'run')} in all, each with its own epoch, chosen "
        "on dev. The best on dev stands first. Scores are means over the tasks, times 100: "
        "`search` is the dev score that the configuration had there, which flatters the best of "
        "many; `dev` and `test` are means over its runs.",
        table(HEAD, rows, text_columns=5),
        how_many(findings, found),
        _failures(findings),
    ]
    return "\n\n".join(part for part in parts if part)


def roles_in_words(roles: Sequence[str]) -> list[str]:
    """Return what a configuration is the best for, each once."""
    words = (
        ROLES.get(role) or short(role.removeprefix(STRUCTURE).removeprefix(ARM).removeprefix(TASK))
        for role in roles
        if role != SINGLE_TASK  # which is a structure too
    )
    return list(dict.fromkeys(words))


def _row(findings: Findings, found: Confirmation, subject: Subject) -> list[str]:
    single = found.single_task
    difference, leader = None, subject.trial.best.get(AVERAGE)
    if single is not None and single is not subject:
        difference = findings.compare(subject.tested, single.tested).test
    return [
        escape(subject.trial.id),
        SHORT.get(subject.trial.structure, escape(subject.trial.structure)),
        depth_cell(subject.trial),
        escape(subject.trial.config["weighting"]["method"]),
        _roles(subject),
        str(len(subject.runs)),
        percent(leader.score if leader else None),
        percent(subject.dev),
        plus_minus(subject.test),
        interval(difference),
        verdict(difference, with_detectable=True) if difference else "",
    ]


def _roles(subject: Subject) -> str:
    """Return what the search had the configuration for; nothing where it is of a former list."""
    return ", ".join(map(escape, roles_in_words(subject.roles))) or "–"


def how_many(findings: Findings, found: Confirmation) -> str:
    """Say by which rule some have more runs than others, and what the time allowed."""
    record = findings.record
    numbers = {len(subject.runs) for subject in found.subjects}
    text = ""
    if len(numbers) > 1:
        text = (
            "Those whose interval against the best on dev covered zero were trained more often, "
            "and the best with them. "
        )
    text += f"The confirmation took {duration(record.seconds_confirming)}"
    ends = {
        "minutes": "; time ran out before all runs were done, and the same command with more "
        "minutes goes on",
        "interrupted": "; it was interrupted, and the same command goes on",
    }
    return f"{text}{ends.get(record.confirmation.ended or '', '')}."


def _failures(findings: Findings) -> str:
    runs = findings.record.confirmation.runs.values()
    failed = [
        f"{escape(run.id)} ({escape(run.failure.kind)}: {escape(run.failure.reason)[:200]})"
        for run in runs
        if run.failure is not None
    ]
    return f"Failed runs, which are not run again: {listed(failed)}." if failed else ""
