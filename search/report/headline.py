"""The answer in a few lines: what is best on average, and against what.

The same sentences stand at the top of `report.md` and on the terminal; `Marks` says how a name and
a strong sentence look there. When a linear model beats every Transformer, that comes first.
"""

from collections import Counter

from mtl_core.baselines import TFIDF, TFIDF_POOLED
from search.record import StudyRecord
from search.report.basis import basis
from search.report.best_for_objective import best_for_objective
from search.report.findings import Findings
from search.report.marks import PLAIN, Marks, describe
from search.report.tested import SINGLE_TASK, Tested
from search.report.wording import (
    count,
    interval,
    percent,
    score_interval,
    signed,
    table,
    verdict,
    wrapped,
)
from search.report.worth import equal_weights_in_words, worth

REASON_CHARACTERS = 160
COMPARED = ("dev", "test (95% interval)", "", "unseen test rows")


def headline(record: StudyRecord) -> str:
    """Return the answer of a study as plain text for a terminal."""
    findings = Findings(record)
    parts = (*answer(findings, PLAIN), comparison(findings, PLAIN), basis(findings))
    return wrapped("\n\n".join(part for part in parts if part))


def question(findings: Findings) -> str:
    """Return what the study was to find out."""
    if findings.of_one_task:
        return "which Transformer suits one task?"
    return f"how should {count(len(findings.tasks), 'task')} share one Transformer?"


def answer(findings: Findings, marks: Marks) -> list[str]:
    """Return the sentences that answer the study's question, the most important one first."""
    best = findings.average
    if best is None:
        return [marks.strong(_no_answer(findings, marks))]
    sentences = [marks.strong(_best(findings, best, marks)), *_on_scale(findings, best)]
    sentences += best_for_objective(findings, marks)
    if findings.record.ended_reason == "failures":
        sentences.append(f"Not all that was asked for: {given_up(findings.record, marks)}.")
    sentences += _out_of_time(findings.record)
    sentences += worth(findings, best, marks)
    sentences += equal_weights_in_words(findings, best, marks)
    linear = findings.linear
    if linear is None:
        return sentences
    text, is_first = _against_linear(findings, best, linear)
    return [marks.strong(text), *sentences] if is_first else [*sentences, text]


def given_up(record: StudyRecord, marks: Marks) -> str:
    """Return why a search was given up over its failures, and the most frequent of them."""
    failures = [trial.failure for trial in record.trials.values() if trial.failure is not None]
    reasons = Counter(failure.reason for failure in failures)
    (reason, _), *_ = reasons.most_common(1)
    said = f"{len(failures)} of {count(len(record.ended()), 'trial')} failed"
    return f"{said}, most often for: {marks.text(reason[:REASON_CHARACTERS])}"


def _out_of_time(record: StudyRecord) -> list[str]:
    """Say what was left when the time was up, if anything was."""
    goes_on = "the same command with more --minutes goes on"
    if record.ended_reason == "minutes":
        return [f"The time was up after {count(len(record.ended()), 'trial')}; {goes_on}."]
    if record.confirmation.ended == "minutes":
        return [f"The time was up before all runs with fresh seeds were done; {goes_on}."]
    return []


def comparison(findings: Findings, marks: Marks) -> str:
    """Return the table of the best model's differences to all it is held against."""
    head, *rows = compared_lines(findings, marks) or [[]]
    return table(head, rows) if rows else ""


def compared_lines(findings: Findings, marks: Marks) -> list[list[str]]:
    """Return the lines of that table, its head first; none where it is held against nothing."""
    best = findings.average
    if best is None:
        return []
    rows = []
    for label, other in rivals(findings, best, marks):
        found = findings.compare(best, other)
        confirmed = findings.confirmation is not None
        cells = [signed(found.dev), interval(found.test)]
        cells.append(verdict(found.test, with_detectable=confirmed))
        rows.append([label, *cells, interval(found.unseen)])
    head = ["the best, less" if findings.of_one_task else "the best on average, less", *COMPARED]
    columns = len(head) if findings.has_seen_rows else len(head) - 1
    return [line[:columns] for line in (head, *rows)] if rows else []


def _no_answer(findings: Findings, marks: Marks) -> str:
    record = findings.record
    leader = record.leaders().get("average")
    if leader is None:
        if record.ended_reason == "failures" or record.all_failed():
            return f"No answer: no trial has a dev score, {given_up(record, marks)}."
        why = {
            "interrupted": ": the search was interrupted first",
            "minutes": ": the time was up first; the same command with more minutes goes on",
            None: " yet",
        }
        return f"No answer: no trial has a dev score{why.get(record.ended_reason, '')}."
    trial = record.trials[leader.trial]
    return (
        f"Not tested yet; best on dev so far: {marks.name(trial.structure)}, "
        f"{percent(leader.score)}{findings.unit} ({trial.id}, epoch {leader.epoch})."
    )


def _best(findings: Findings, best: Tested, marks: Marks) -> str:
    assert best.trial is not None
    start = "Best" if findings.of_one_task else "Best on average"
    if best.structure == SINGLE_TASK and not findings.of_one_task:
        start = "Sharing nothing is the best found on average"
    unseen = f" ({percent(findings.unseen(best))}{findings.unit} on unseen rows)"
    rest = unseen if findings.has_seen_rows else ""
    test, dev = percent(findings.test(best)), percent(findings.dev(best))
    where = f"({best.trial.id}, epoch {best.epoch})"
    if best.runs:
        return f"{start}: {describe(best, marks)}. {_confirmed_score(findings, best)}."
    if not findings.of_accuracy:
        return (
            f"{start}: {describe(best, marks)}. Its {_what_score(findings)} is {test} on "
            f"test{rest}, {dev} on dev {where}."
        )
    return (
        f"{start}: {describe(best, marks)}. It gets {test}% of the test rows right{rest}, {dev}% "
        f"on dev {where}."
    )


def _confirmed_score(findings: Findings, best: Tested) -> str:
    """Return what a confirmed model gets on test, with its interval, and on dev."""
    assert best.trial is not None
    score, unit = findings.score(best), findings.unit
    rest = ""
    if findings.has_seen_rows:
        rest = f", {score_interval(findings.score_unseen(best), unit)} on unseen rows"
    test = f"{score_interval(score)} of the test rows right"
    if not findings.of_accuracy:
        test = f"a {_what_score(findings)} of {score_interval(score, unit)} on test"
    seeds = count(best.seeds, "fresh seed")
    dev = percent(findings.dev(best))
    return f"It gets {test}{rest}, the mean of {seeds}; {dev}{unit} on dev ({best.trial.id})"


def _what_score(findings: Findings) -> str:
    return "score" if findings.of_one_task else "mean score over the tasks"


def _on_scale(findings: Findings, best: Tested) -> list[str]:
    """Return the mean on the scale that the space asks for, where it is not the scores' own."""
    scale = findings.record.header.get("scale", "score")
    zero = {
        "over_majority": findings.baselines.get("majority"),
        "over_single_task": findings.single_task,
    }.get(scale)
    if zero is None or zero.trial is best.trial:
        return []
    name = {"over_majority": "the majority baseline", "over_single_task": SINGLE_TASK}[scale]
    found = findings.compare(best, zero)
    test, dev = interval(found.test), signed(found.dev)
    return [f"Over {name} that is {test} points on test, {dev} on dev."]


def _against_linear(findings: Findings, best: Tested, linear: Tested) -> tuple[str, bool]:
    """Return how the best model stands to the best linear one, and whether that comes first."""
    name, score = findings.in_words(linear.name), percent(findings.test(linear))
    of_several = "" if findings.of_one_task else " on the mean of the tasks"
    rows_right = "% of the test rows right" if findings.of_accuracy else of_several
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
            f"({score}{findings.unit}): {interval(found)} points on test."
        )
        return text, found.mean < 0
    text = f"It beats {name} ({score}{findings.unit}) by {interval(found)} points on test."
    return text, False


def rivals(findings: Findings, best: Tested, marks: Marks) -> list[tuple[str, Tested]]:
    """Return what the best on average is held against, each with its name in words."""
    found: list[tuple[str, Tested]] = []
    if best.structure == SINGLE_TASK and findings.sharing is not None:
        structure = marks.name(findings.sharing.structure or "")
        other = "best other structure" if findings.of_one_task else "best that shares"
        found.append((f"{other} ({structure})", findings.sharing))
    elif findings.single_task is not None:
        found.append((marks.name(SINGLE_TASK), findings.single_task))
    equal = findings.equal_weights
    if equal is not None and equal.trial is not best.trial and not findings.of_one_task:
        found.append(("best with equal weights", equal))
    names = {TFIDF: "TF-IDF per task", TFIDF_POOLED: "TF-IDF pooled", "majority": "majority"}
    found += [
        (label, findings.baselines[n]) for n, label in names.items() if n in findings.baselines
    ]
    return found
