"""What a click on a cell shows: the configuration of its model, and its curves.

Kept for the models that the page names, not for all trials: a thousand of them with 64 tasks would
be most of the page.
"""

from collections.abc import Iterable
from typing import Any

from search.report.by_arm import Arms
from search.report.findings import Findings
from search.report.html.figures import hundredths
from search.report.wording import value_in_words
from search.selection import Selection
from search.trial_record import TrialRecord


def details(findings: Findings, arms: Arms, found: Selection) -> dict[str, Any]:
    """Return what the page's script needs of each model that can be clicked, by trial."""
    named = [arm.trial for arm in arms.all if arm.trial is not None]
    trials = findings.record.trials
    named += [trials[leader.trial] for leader in findings.record.leaders().values()]
    named += [trials[winner.trial] for winner in found.winners.values()]
    return {trial.id: _of(trial, findings.tasks) for trial in _once(named)}


def _of(trial: TrialRecord, tasks: Iterable[str]) -> dict[str, Any]:
    reports = trial.reports
    config = trial.config.items()
    return {
        "structure": trial.structure,
        "source": trial.source,
        "state": trial.state,
        "seed": str(trial.seed),  # more digits than a number has in JavaScript
        "values": {key: value_in_words(value) for key, value in sorted(trial.values.items())},
        "config": {
            section: {key: value_in_words(value) for key, value in of_section.items()}
            for section, of_section in config
        },
        "epochs": [report.epoch for report in reports],
        "average": hundredths([report.average for report in reports]),
        "loss": [round(r.loss, 4) if r.loss == r.loss else None for r in reports],
        "scores": {task: hundredths([r.scores.get(task) for r in reports]) for task in tasks},
    }


def _once(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    return list({trial.id: trial for trial in trials}.values())
