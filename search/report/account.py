"""The report's second half: how the search went, oddities of the data, how to do it again."""

import json
import shlex
from collections import Counter
from collections.abc import Mapping
from statistics import median
from typing import Any

from search.failure import LOSSES
from search.record import StudyRecord
from search.report.findings import Findings, in_order
from search.report.tested import AVERAGE
from search.report.wording import code, count, duration, escape, percent, table
from search.trial_record import State

STATES: dict[State, str] = {
    "finished": "finished",
    "stopped": "stopped early",
    "failed": "failed",
    "running": "cut off",
    "proposed": "not begun",
}
ENDS = {
    "trials": "all trials that were asked for are done",
    "minutes": "the time that was given is used up",
    "exhausted": "every configuration of the space has been tried",
    "interrupted": "it was interrupted; the same command continues it",
    "failures": "too many trials failed; once that is mended the same command continues it",
}
MAX_LISTED = 10


def search_section(findings: Findings, n_configurations: int | None) -> str:
    """Return how many trials there were, how they ended, and what it cost."""
    record = findings.record
    trials = list(record.trials.values())
    parts = ["## How the search went", f"{counts(findings, n_configurations)} {cost(findings)}"]
    parts[1] += f" {search_end(record)}"
    if trials:
        parts.append(_by_structure(findings))
    parts.append(_failures(findings))
    return "\n\n".join(part for part in parts if part)


def data_section(audit: Mapping[str, Any]) -> str:
    """Return what the audit has to say: repeated texts, rows left out, lines mended."""
    if not audit:
        return ""
    parts = ["## The data", escape(audit.get("headline", ""))]
    notes = [escape(note) for note in data_notes(audit)]
    listed = [f"- {note}" for note in notes[:MAX_LISTED]]
    if len(notes) > MAX_LISTED:
        listed.append(f"- and {len(notes) - MAX_LISTED} more, in `audit.json`")
    parts.append("\n".join(listed))
    return "\n\n".join(part for part in parts if part)


def search_end(record: StudyRecord) -> str:
    """Say why the search ended, if it has."""
    if not record.ended_reason:
        return "The search has not ended."
    return f"The search ended because {ENDS.get(record.ended_reason, 'it has not ended')}."


def data_notes(audit: Mapping[str, Any]) -> list[str]:
    """Return what the reader mended, left out or cut, one line each, as plain text."""
    notes: list[str] = []
    for task in audit.get("tasks", ()):
        notes += [
            f"{file}: {count(lines, 'line')} not UTF-8, read as Latin-1"
            for file, lines in task["undecodable"].items()
        ]
        notes += [f"{row['file']}, line {row['line']}: {row['message']}" for row in task["dropped"]]
        notes += [f"{task['name']}: {cut}" for cut in task["cut_from_train"]]
        notes += [f"{remark['file']}: {remark['message']}" for remark in task.get("remarks", ())]
    return notes


def reproduce_section(findings: Findings, environment: Mapping[str, Any]) -> str:
    """Return the command, the seed, the versions and the hash of the data."""
    header = findings.record.header
    versions = environment.get("versions", {})
    lines = [
        f"- data: {code(str(header.get('data_fingerprint', ''))[:16])} (hash of all texts and "
        "labels)",
        f"- seed {header.get('seed')}; every trial's own seed is in `trials.parquet`",
    ]
    if versions:
        named = ", ".join(f"{escape(name)} {escape(number)}" for name, number in versions.items())
        lines.append(f"- versions: {named}")
    commit = environment.get("git_commit")
    if commit:
        dirty = " with changes that are not committed" if environment.get("git_dirty") else ""
        lines.append(f"- commit {code(commit)}{dirty}")
    machine = environment.get("machine", {})
    if machine:
        gpus = ", ".join(machine.get("gpus", ())) or "no GPU"
        memory = machine.get("memory_gib")
        said = f"{count(machine.get('cpus', 0), 'CPU')}, {memory} GiB, {escape(gpus)}"
        lines.append(f"- machine: {said}")
    command = shlex.join(environment.get("command", ()))
    fence = f"```sh\n{command}\n```" if command and "```" not in command else ""
    return "\n\n".join(part for part in ("## To do it again", fence, "\n".join(lines)) if part)


def counts(findings: Findings, n_configurations: int | None) -> str:
    """Return how many trials there are, how they ended, and how much of the space they are."""
    trials = list(findings.record.trials.values())
    states = Counter(trial.state for trial in trials)
    said = ", ".join(f"{states[state]} {word}" for state, word in STATES.items() if states[state])
    text = count(len(trials), "trial") + (f": {said}." if said else ".")
    if n_configurations is None:
        return text
    different = len({json.dumps(trial.values, sort_keys=True) for trial in trials})
    if different >= n_configurations:
        return f"{text} They are all {n_configurations:,} configurations of the space."
    return f"{text} They are {different:,} of the space's {n_configurations:,} configurations."


def cost(findings: Findings) -> str:
    """Return what the search took: its time, that of a trial, epochs, repeated starts."""
    record = findings.record
    seconds = [
        sum(report.seconds for report in trial.reports)
        for trial in record.trials.values()
        if trial.reports
    ]
    text = f"It took {duration(record.seconds_used)}"
    if record.seconds_confirming:
        text += f", {duration(record.seconds_confirming)} of it for the confirmation"
    if seconds:
        epochs = sum(len(trial.reports) for trial in record.trials.values())
        text += f"; a trial {duration(median(seconds))} (median), {count(epochs, 'epoch')} in all"
    return f"{text}. {retries_in_words(record)}".rstrip()


def retries_in_words(record: StudyRecord) -> str:
    """Return how many trainings were begun again, by what was lost; nothing where none was."""
    retries = [retry for trial in record.trials.values() for retry in trial.retries]
    retries += [retry for run in record.confirmation.runs.values() for retry in run.retries]
    kinds = Counter(retry.kind for retry in retries)
    if not kinds:
        return ""
    listed = ", ".join(f"{LOSSES[kind]} {kinds[kind]}" for kind in LOSSES if kinds[kind])
    return f"{count(kinds.total(), 'start')} had to be repeated: {listed}."


def _by_structure(findings: Findings) -> str:
    """Return how the trials of each structure ended; states that none is in are left out."""
    trials = list(findings.record.trials.values())
    states = [state for state in STATES if any(trial.state == state for trial in trials)]
    rows = []
    for name in in_order({trial.structure for trial in trials}):
        mine = [trial for trial in trials if trial.structure == name]
        counts = Counter(trial.state for trial in mine)
        best = max((t.best[AVERAGE].score for t in mine if AVERAGE in t.best), default=None)
        rows.append([code(name), str(len(mine)), *(str(counts[s]) for s in states), percent(best)])
    return table(["structure", "trials", *(STATES[s] for s in states), "best dev average"], rows)


def _failures(findings: Findings) -> str:
    failed: dict[str, list[str]] = {}
    for trial in findings.record.trials.values():
        if trial.failure:
            reason = escape(trial.failure.reason)[:200]
            failed.setdefault(f"{escape(trial.failure.kind)}: {reason}", []).append(trial.id)
    lines = [
        f"- {reason} ({', '.join(map(escape, ids[:MAX_LISTED]))}"
        + (f" and {len(ids) - MAX_LISTED} more)" if len(ids) > MAX_LISTED else ")")
        for reason, ids in sorted(failed.items(), key=lambda item: -len(item[1]))
    ]
    return "Failures:\n\n" + "\n".join(lines) if lines else ""
