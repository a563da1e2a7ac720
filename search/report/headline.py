"""The answer in a few lines: what is best on average, and against what.

The same sentences stand at the top of `report.md` and on the terminal; `Marks` says how a name and
a strong sentence look there. When a linear model beats every Transformer, that comes first.
"""

from collections import Counter

from mtl_core.baselines import TFIDF, TFIDF_POOLED
from mtl_core.metrics import TAGGING
from search.record import StudyRecord
from search.report.findings import Findings, in_order
from search.report.marks import PLAIN, Marks, describe
from search.report.statistics import Scored
from search.report.tested import SINGLE_TASK, STRUCTURE, Tested
from search.report.wording import (
    BASELINES,
    count,
    interval,
    listed,
    percent,
    score_interval,
    signed,
    table,
    verdict,
    wrapped,
)
from search.report.worth import equal_weights_in_words, worth

REASON_CHARACTERS = 160
COMPARED = ("the best on average, less", "dev", "test (95% interval)", "", "unseen test rows")


def headline(record: StudyRecord) -> str:
    """Return the answer of a study as plain text for a terminal."""
    findings = Findings(record)
    parts = (*answer(findings, PLAIN), comparison(findings, PLAIN), basis(findings))
    return wrapped("\n\n".join(part for part in parts if part))


def answer(findings: Findings, marks: Marks) -> list[str]:
    """Return the sentences that answer the study's question, the most important one first."""
    best = findings.average
    if best is None:
        return [marks.strong(_no_answer(findings, marks))]
    sentences = [marks.strong(_best(findings, best, marks)), *_on_scale(findings, best)]
    if findings.record.ended_reason == "failures":
        sentences.append(f"Not all that was asked for: {given_up(findings.record)}.")
    sentences += worth(findings, best, marks)
    sentences += equal_weights_in_words(findings, best, marks)
    linear = findings.linear
    if linear is None:
        return sentences
    text, is_first = _against_linear(findings, best, linear)
    return [marks.strong(text), *sentences] if is_first else [*sentences, text]


def given_up(record: StudyRecord) -> str:
    """Return why a search was given up over its failures, and the most frequent of them."""
    failures = [trial.failure for trial in record.trials.values() if trial.failure is not None]
    reasons = Counter(failure.reason for failure in failures)
    (reason, _), *_ = reasons.most_common(1)
    said = f"{len(failures)} of {count(len(record.ended()), 'trial')} failed"
    return f"{said}, most often for: {reason[:REASON_CHARACTERS]}"


def comparison(findings: Findings, marks: Marks) -> str:
    """Return the table of the best model's differences to all it is held against."""
    best = findings.average
    if best is None:
        return ""
    rows = []
    for label, other in rivals(findings, best, marks):
        found = findings.compare(best, other)
        confirmed = findings.confirmation is not None
        cells = [signed(found.dev), interval(found.test)]
        cells.append(verdict(found.test, with_detectable=confirmed))
        rows.append([label, *cells, interval(found.unseen)])
    columns = len(COMPARED) if findings.has_seen_rows else len(COMPARED) - 1
    return table(COMPARED[:columns], [row[:columns] for row in rows]) if rows else ""


def basis(findings: Findings) -> str:
    """Return what the numbers rest on: tasks, rows, seeds."""
    if not findings.seen:
        return ""
    rows = sum(len(seen) for seen in findings.seen.values())
    unseen = "all of them unseen"
    if findings.has_seen_rows:
        unseen = f"{sum(int((~seen).sum()) for seen in findings.seen.values()):,} of them unseen"
    first = next(iter((*findings.baselines.values(), *findings.models.values())))
    dev = sum(first.dev_rows.values())
    return (
        f"Means over {count(len(findings.tasks), 'task')}, each counted alike; "
        f"{count(rows, 'test row')}, {unseen} (in no train split of any task); "
        f"{count(dev, 'dev row')}; {_seeds(findings)}. {_metrics(findings)}Differences are in "
        f"points. {_meaning(findings)}{_waiting(findings)}"
    )


def _waiting(findings: Findings) -> str:
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
    unit = _unit(findings)
    each = [f"`{name}` ({percent(found[name].score)}{unit} on dev in the search)" for name in names]
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
        return "Dev chose what leads, so it flatters it."
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


def _metrics(findings: Findings) -> str:
    """Say what tasks are scored by, where it is not accuracy throughout."""
    if findings.of_accuracy:
        return ""
    first = next(iter((*findings.baselines.values(), *findings.models.values())))
    named = {
        task: rows.metric.name if isinstance(rows, Scored) else "accuracy"
        for task, rows in first.correct.items()
    }
    tagged = any(
        isinstance(rows, Scored) and rows.metric in TAGGING for rows in first.correct.values()
    )
    words = "Of tagged words the linear baseline says each word's most frequent tag. "
    return (
        f"Scores: {', '.join(f'{task} {metric}' for task, metric in named.items())}, times 100. "
        f"{words if tagged else ''}"
    )


def _no_answer(findings: Findings, marks: Marks) -> str:
    record = findings.record
    leader = record.leaders().get("average")
    if leader is None:
        if record.ended_reason == "failures" or record.all_failed():
            return f"No answer: no trial has a dev score, {given_up(record)}."
        why = {"interrupted": ": the search was interrupted first", None: " yet"}
        return f"No answer: no trial has a dev score{why.get(record.ended_reason, '')}."
    trial = record.trials[leader.trial]
    return (
        f"Not tested yet; best on dev so far: {marks.name(trial.structure)}, "
        f"{percent(leader.score)}{_unit(findings)} ({trial.id}, epoch {leader.epoch})."
    )


def _best(findings: Findings, best: Tested, marks: Marks) -> str:
    assert best.trial is not None
    start = "Best on average"
    if best.structure == SINGLE_TASK:
        start = "Sharing nothing is the best found on average"
    unseen = f" ({percent(findings.unseen(best))}{_unit(findings)} on unseen rows)"
    rest = unseen if findings.has_seen_rows else ""
    test, dev = percent(findings.test(best)), percent(findings.dev(best))
    where = f"({best.trial.id}, epoch {best.epoch})"
    if best.runs:
        return f"{start}: {describe(best, marks)}. {_confirmed_score(findings, best)}."
    if not findings.of_accuracy:
        return (
            f"{start}: {describe(best, marks)}. Its mean score over the tasks is {test} on test"
            f"{rest}, {dev} on dev {where}."
        )
    return (
        f"{start}: {describe(best, marks)}. It gets {test}% of the test rows right{rest}, {dev}% "
        f"on dev {where}."
    )


def _confirmed_score(findings: Findings, best: Tested) -> str:
    """Return what a confirmed model gets on test, with its interval, and on dev."""
    assert best.trial is not None
    score, unit = findings.score(best), _unit(findings)
    rest = ""
    if findings.has_seen_rows:
        rest = f", {score_interval(findings.score_unseen(best), unit)} on unseen rows"
    test = f"{score_interval(score)} of the test rows right"
    if not findings.of_accuracy:
        test = f"a mean score over the tasks of {score_interval(score, unit)} on test"
    seeds = count(best.seeds, "fresh seed")
    dev = percent(findings.dev(best))
    return f"It gets {test}{rest}, the mean of {seeds}; {dev}{unit} on dev ({best.trial.id})"


def _unit(findings: Findings) -> str:
    """Return what a mean score is told in: a correlation or an F1 is no share of anything."""
    return "%" if findings.of_accuracy else ""


def _on_scale(findings: Findings, best: Tested) -> list[str]:
    """Return the mean on the scale that the space asks for, where it is not the scores' own."""
    scale = findings.record.header.get("scale", "score")
    zero = {
        "over_majority": findings.baselines.get("majority"),
        "over_single_task": findings.single_task,
    }.get(scale)
    if zero is None:
        return []
    name = {"over_majority": "the majority baseline", "over_single_task": SINGLE_TASK}[scale]
    found = findings.compare(best, zero)
    test, dev = interval(found.test), signed(found.dev)
    return [f"Over {name} that is {test} points on test, {dev} on dev."]


def _against_linear(findings: Findings, best: Tested, linear: Tested) -> tuple[str, bool]:
    """Return how the best model stands to the best linear one, and whether that comes first."""
    name, score = BASELINES[linear.name], percent(findings.test(linear))
    rows_right = "% of the test rows right" if findings.of_accuracy else " on the mean of the tasks"
    found = findings.compare(best, linear).test
    if found is None:
        return f"{name}: {score}{rows_right}.", False
    if found.sign < 0:
        more, low, high = (percent(-share) for share in (found.mean, found.high, found.low))
        text = (
            f"A linear model wins: {name} gets {score}{rows_right}, {more} points "
            f"more than the best Transformer found (95% interval {low} to {high})."
        )
        return text, True
    if found.sign == 0:
        text = (
            f"No difference is seen between the best Transformer found and {name} "
            f"({score}{_unit(findings)}): {interval(found)} points on test."
        )
        return text, found.mean < 0
    text = f"It beats {name} ({score}{_unit(findings)}) by {interval(found)} points on test."
    return text, False


def rivals(findings: Findings, best: Tested, marks: Marks) -> list[tuple[str, Tested]]:
    """Return what the best on average is held against, each with its name in words."""
    found: list[tuple[str, Tested]] = []
    if best.structure == SINGLE_TASK and findings.sharing is not None:
        structure = marks.name(findings.sharing.structure or "")
        found.append((f"best that shares ({structure})", findings.sharing))
    elif findings.single_task is not None:
        found.append((marks.name(SINGLE_TASK), findings.single_task))
    equal = findings.equal_weights
    if equal is not None and equal.trial is not best.trial:
        found.append(("best with equal weights", equal))
    names = {TFIDF: "TF-IDF per task", TFIDF_POOLED: "TF-IDF pooled", "majority": "majority"}
    found += [
        (label, findings.baselines[n]) for n, label in names.items() if n in findings.baselines
    ]
    return found
