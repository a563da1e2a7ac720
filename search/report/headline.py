"""The answer in a few lines: what is best on average, and against what.

The same sentences stand at the top of `report.md` and on the terminal; `Marks` says how a name and
a strong sentence look there. When a linear model beats every Transformer, that comes first.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mtl_core.baselines import TFIDF, TFIDF_POOLED
from mtl_core.metrics import TAGGING
from search.record import StudyRecord
from search.report.findings import Findings
from search.report.statistics import Scored
from search.report.tested import SINGLE_TASK, Tested
from search.report.wording import (
    BASELINES,
    code,
    count,
    depth_in_words,
    interval,
    percent,
    signed,
    table,
    verdict,
    wrapped,
)

COMPARED = ("the best on average, less", "dev", "test (95% interval)", "", "unseen test rows")


@dataclass(frozen=True)
class Marks:
    """How a name and a strong sentence are written."""

    name: Callable[[str], str]
    strong: Callable[[str], str]


PLAIN = Marks(name=str, strong=str)
MARKDOWN = Marks(name=code, strong=lambda text: f"**{text}**")


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
    sentences += _worth(findings, best, marks)
    linear = findings.linear
    if linear is None:
        return sentences
    text, is_first = _against_linear(findings, best, linear)
    return [marks.strong(text), *sentences] if is_first else [*sentences, text]


def comparison(findings: Findings, marks: Marks) -> str:
    """Return the table of the best model's differences to all it is held against."""
    best = findings.average
    if best is None:
        return ""
    rows = []
    for label, other in _rivals(findings, best, marks):
        found = findings.compare(best, other)
        cells = [signed(found.dev), interval(found.test), verdict(found.test)]
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
        f"{count(dev, 'dev row')}; 1 seed. {_metrics(findings)}Differences are in points. "
        "The intervals say how much the choice of test rows matters, not how much another seed "
        "would change; dev chose the models, so it flatters them."
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
        why = {"interrupted": ": the search was interrupted first", None: " yet"}
        return f"No answer: no trial has a dev score{why.get(record.ended_reason, '')}."
    trial = record.trials[leader.trial]
    return (
        f"Not tested yet; best on dev so far: {marks.name(trial.structure)}, "
        f"{percent(leader.score)}% ({trial.id}, epoch {leader.epoch})."
    )


def _best(findings: Findings, best: Tested, marks: Marks) -> str:
    assert best.trial is not None
    start = "Best on average"
    if best.structure == SINGLE_TASK:
        start = "Sharing nothing is the best found on average"
    unseen = f" ({percent(findings.unseen(best))}% on unseen rows)"
    rest = unseen if findings.has_seen_rows else ""
    test, dev = percent(findings.test(best)), percent(findings.dev(best))
    where = f"({best.trial.id}, epoch {best.epoch})"
    if not findings.of_accuracy:
        return (
            f"{start}: {describe(best, marks)}. Its mean score over the tasks is {test} on test"
            f"{rest}, {dev} on dev {where}."
        )
    return (
        f"{start}: {describe(best, marks)}. It gets {test}% of the test rows right{rest}, {dev}% "
        f"on dev {where}."
    )


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


def describe(model: Tested, marks: Marks) -> str:
    """Return the structure, depth and weighting of a model in words."""
    assert model.trial is not None
    weighting = marks.name(model.trial.config["weighting"]["method"])
    structure = marks.name(model.trial.structure)
    return f"{structure}, {depth_in_words(model.trial)}, weighting {weighting}"


def _worth(findings: Findings, best: Tested, marks: Marks) -> list[str]:
    """Say whether sharing is worth it on average, against single-task training."""
    single, sharing = findings.single_task, findings.sharing
    if single is None:
        return [
            f"No trial of {marks.name(SINGLE_TASK)} has a score in this study, so what sharing "
            "gains is not known."
        ]
    if sharing is None:
        return ["No structure that shares anything has a score, so what sharing gains is unknown."]
    shared = sharing if best.structure == SINGLE_TASK else best
    found = findings.compare(shared, single).test
    words = {
        1: "Sharing helps on average",
        -1: "Sharing hurts on average",
        0: "No difference is seen on average between sharing and not",
    }
    if found is None:
        return ["No test rows, so what sharing gains is not known."]
    what = "" if shared is best else f" ({describe(shared, marks)})"
    said = [f"{words[found.sign]}{what}: {interval(found)} points on test."]
    return said + _unequal_search(findings, shared, single, marks)


def _unequal_search(findings: Findings, shared: Tested, single: Tested, marks: Marks) -> list[str]:
    """Say so when one side had many more trials: the best of more trials is luckier on dev."""
    tried = [findings.n_tried(model.structure) for model in (shared, single)]
    if max(tried) < 2 * min(tried):
        return []
    names = [marks.name(model.structure or "") for model in (shared, single)]
    return [
        f"The search was not even: {names[0]} is the best of {count(tried[0], 'trial')}, "
        f"{names[1]} of {tried[1]}."
    ]


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
            f"No difference is seen between the best Transformer found and {name} ({score}%): "
            f"{interval(found)} points on test."
        )
        return text, found.mean < 0
    text = f"It beats {name} ({score}%) by {interval(found)} points on test."
    return text, False


def _rivals(findings: Findings, best: Tested, marks: Marks) -> list[tuple[str, Tested]]:
    rivals: list[tuple[str, Tested]] = []
    if best.structure == SINGLE_TASK and findings.sharing is not None:
        structure = marks.name(findings.sharing.structure or "")
        rivals.append((f"best that shares ({structure})", findings.sharing))
    elif findings.single_task is not None:
        rivals.append((marks.name(SINGLE_TASK), findings.single_task))
    names = {TFIDF: "TF-IDF per task", TFIDF_POOLED: "TF-IDF pooled", "majority": "majority"}
    rivals += [
        (label, findings.baselines[n]) for n, label in names.items() if n in findings.baselines
    ]
    return rivals
