"""Who is best at what the study maximised, in a sentence, where that is not the mean of the tasks.

The rest of the answer is of the mean, which every study is judged by as well.
"""

from search.objectives import AVERAGE, TASK, WORST_TASK
from search.report.findings import Findings
from search.report.marks import Marks, describe
from search.report.tested import Tested
from search.report.wording import percent


def best_for_objective(findings: Findings, marks: Marks) -> list[str]:
    """Return the sentence; none where the mean was maximised, or nobody was tested for the rest."""
    objective = findings.record.objective
    best = None if objective.name == AVERAGE else _tested_for(findings)
    if best is None:
        return []
    assert best.trial is not None
    scores = {task: found.mean for task in best.dev if (found := findings.score(best, [task]))}
    unit, dev = findings.unit, objective.of_scores(best.dev)
    start = f"The search maximised {_in_words(findings, marks)}"
    if findings.average is not None and findings.average.trial is best.trial:
        whose = "the same configuration is best at that"
    else:
        whose = f"best at that is {describe(best, marks)}"
    test = f"{percent(objective.of_scores(scores))}{unit} on test"
    if objective.name == WORST_TASK and scores:
        test += f" ({marks.text(min(scores, key=lambda task: scores[task]))})"
    return [f"{start}: {whose}, {test}, {percent(dev)}{unit} on dev ({best.trial.id})."]


def _tested_for(findings: Findings) -> Tested | None:
    """Return who the shortlist has for the objective; without a confirmation who led in it."""
    objective = findings.record.objective
    if findings.confirmation is None:
        return findings.models.get(objective.name)
    subjects = findings.confirmation.subjects
    holders = [subject.tested for subject in subjects if objective.name in subject.roles]
    return max(holders, key=lambda tested: objective.of_scores(tested.dev), default=None)


def _in_words(findings: Findings, marks: Marks) -> str:
    objective = findings.record.objective
    if objective.name == WORST_TASK:
        return "the score of the worst task"
    if objective.name.startswith(TASK):
        return f"the score of {marks.text(objective.name.removeprefix(TASK))}"
    return "a weighted mean of the tasks' scores"
