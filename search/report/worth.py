"""Whether sharing is worth it, in sentences: on average, task by task, and what weights add.

Words follow the numbers: better, worse, or no difference seen, and then the smallest difference
that would have been. A task that is worse off is named; of a confirmation that is decided after
Holm's correction over the tasks.
"""

from collections.abc import Mapping

from search.report.confirmation import compared, weights_alike
from search.report.findings import Findings
from search.report.marks import Marks, describe
from search.report.statistics import Difference
from search.report.tested import SINGLE_TASK, Tested
from search.report.wording import count, interval, listed, percent


def worth(findings: Findings, best: Tested, marks: Marks) -> list[str]:
    """Say whether sharing is worth it, against single-task training."""
    if findings.of_one_task:
        return ["One task has nobody to share with: the structures differ in how they read a text."]
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
    if found is None:
        return ["No test rows, so what sharing gains is not known."]
    what = "" if shared is best else f" ({describe(shared, marks)})"
    said = [_on_average(findings, found, what)]
    if findings.confirmation:
        said.append(by_task_in_words(compared(shared, single, findings.tasks).by_task, marks))
    return said + _unequal_search(findings, shared, single, marks)


def by_task_in_words(by_task: Mapping[str, Difference], marks: Marks) -> str:
    """Say for how many tasks sharing is better, and name those for which it is worse."""
    better = [task for task, found in by_task.items() if found.sign > 0]
    worse = [f"{marks.text(t)} {interval(found)}" for t, found in by_task.items() if found.sign < 0]
    n = len(by_task)
    rest = n - len(better) - len(worse)
    counted = {"better": len(better), "worse": len(worse), "no difference seen": rest}
    parts = [f"{word} on {number}" for word, number in counted.items() if number]
    text = f"Task by task sharing is {listed(parts)} of {count(n, 'task')}"
    if not better and not worse:
        text = f"Task by task no difference is seen on any of {count(n, 'task')}"
    text += " (Holm-corrected)"
    return f"{text}; it hurts {listed(worse)}." if worse else f"{text}."


def equal_weights_in_words(findings: Findings, best: Tested, marks: Marks) -> list[str]:
    """Say what weighting the tasks adds: the best with any weighting less that with equal ones."""
    equal = findings.equal_weights
    if equal is None or best.trial is None or findings.of_one_task:
        return []
    if weights_alike(best.trial):
        return ["No weighting found is better than equal weights: the best has them."]
    found = findings.compare(best, equal).test
    if found is None:
        return []
    words = {1: "better than", -1: "worse than", 0: "not seen to differ from"}[found.sign]
    return [
        f"With its weighting it is {words} the best with equal weights ({describe(equal, marks)}): "
        f"{interval(found)} points{_detectable(findings, found)}."
    ]


def _on_average(findings: Findings, found: Difference, what: str) -> str:
    words = {
        1: "Sharing helps on average",
        -1: "Sharing hurts on average",
        0: "No difference is seen on average between sharing and not",
    }
    ends = _detectable(findings, found)
    return f"{words[found.sign]}{what}: {interval(found)} points on test{ends}."


def _detectable(findings: Findings, found: Difference) -> str:
    """Return what would have been seen, where nothing was; or that seeds are not counted."""
    if findings.confirmation and found.one_seed:
        return ", of one seed and over rows alone"
    if found.sign or not findings.confirmation:
        return ""
    if found.detectable is None:
        return "; none would have been seen, however large: the runs differ too much"
    return f"; a true difference of {percent(found.detectable)} would have been seen"


def _unequal_search(findings: Findings, shared: Tested, single: Tested, marks: Marks) -> list[str]:
    """Say so when one side had many more trials: the best of more trials is luckier on dev."""
    arms = [findings.arm_of(model.trial) for model in (shared, single) if model.trial]
    tried = [findings.n_tried(arm) for arm in arms]
    if max(tried) < 2 * min(tried):
        return []
    names = [marks.name(arm) for arm in arms]
    return [
        f"The search was not even: {names[0]} is the best of {count(tried[0], 'trial')}, "
        f"{names[1]} of {tried[1]}."
    ]
