"""What the answer rests on, in a few sentences: tasks, rows, seeds, metrics, intervals."""

from mtl_core.metrics import REGRESSION, TAGGING
from search.report.findings import Findings, in_order
from search.report.marks import PLAIN, Marks
from search.report.tested import STRUCTURE
from search.report.wording import count, listed, percent


def basis(findings: Findings, marks: Marks = PLAIN) -> str:
    """Return what the numbers rest on: tasks, rows, seeds."""
    if not findings.seen:
        return ""
    rows = sum(len(seen) for seen in findings.seen.values())
    unseen = "all of them unseen"
    if findings.has_seen_rows:
        unseen = f"{sum(int((~seen).sum()) for seen in findings.seen.values()):,} of them unseen"
    first = next(iter((*findings.baselines.values(), *findings.models.values())))
    dev = sum(first.dev_rows.values())
    tasks = len(findings.tasks)
    means = "" if tasks == 1 else f"Means over {count(tasks, 'task')}, each counted alike; "
    return (
        f"{means}{count(rows, 'test row')}, {unseen} (in no train split of any task); "
        f"{count(dev, 'dev row')}; {_seeds(findings)}. {_metrics(findings, marks)}Differences are "
        f"in points. {_meaning(findings)}{_waiting(findings, marks)}"
    )


def _waiting(findings: Findings, marks: Marks) -> str:
    """Say which structures have scores on dev alone: the time was up before they were confirmed."""
    if findings.confirmation is None:
        return ""
    leaders = findings.record.leaders()
    found = {
        name.removeprefix(STRUCTURE): one
        for name, one in leaders.items()
        if name.startswith(STRUCTURE)
    }
    names = [name for name in in_order(found) if name not in findings.structures]
    if not names:
        return ""
    each = [
        f"{marks.name(name)} ({percent(found[name].score)}{findings.unit} on dev in the search)"
        for name in names
    ]
    return f" Not confirmed yet, and in no table for that: {listed(each)}."


def _seeds(findings: Findings) -> str:
    """Say how many trainings the numbers rest on."""
    found = findings.confirmation
    if found is None:
        return "1 seed" if findings.models else "no model is tested yet"
    numbers = sorted({len(subject.runs) for subject in found.subjects})
    seeds = count(numbers[0], "fresh seed")
    if len(numbers) > 1:
        seeds = f"{numbers[0]} to {count(numbers[-1], 'fresh seed')}"
    return f"{seeds} for each of {count(len(found.subjects), 'configuration')}"


def _meaning(findings: Findings) -> str:
    """Say what the intervals are of, and what dev is worth."""
    if not findings.models:
        leads = findings.record.leaders()
        return "Dev chose what leads, so it flatters it." if leads else ""
    if findings.confirmation is None:
        return (
            "The intervals say how much the choice of test rows matters, not how much another seed "
            "would change; dev chose the models, so it flatters them."
        )
    if all(len(subject.runs) == 1 for subject in findings.confirmation.subjects):
        return (
            "With one run each, the intervals say how much the choice of test rows matters, not "
            "how much another seed would change: more time for the confirmation gives more runs."
        )
    return (
        "The intervals are over seeds and test rows at once: another training and other rows are "
        "in them. Where no difference is seen, the detectable one is the smallest that would have "
        "been, four times in five. Dev chose the models and their epochs, and test was scored once "
        "for each of their runs."
    )


def _metrics(findings: Findings, marks: Marks) -> str:
    """Say what tasks are scored by, where it is not accuracy throughout."""
    if findings.of_accuracy:
        return ""
    found = findings.metrics
    named = [f"{marks.text(task)} {metric.name}" for task, metric in found.items()]
    words = ""
    if any(metric in REGRESSION for metric in found.values()):
        words += "Of values the linear baseline is a ridge regression. "
    if any(metric in TAGGING for metric in found.values()):
        words += "Of tagged words the linear baseline says each word's most frequent tag. "
    return f"Scores: {', '.join(named)}, times 100. {words}"
