"""Task by task: the configuration that is best for it, and whether it pays for the others' gain."""

from collections.abc import Sequence

from search.report.findings import Comparison, Findings
from search.report.statistics import mean_score
from search.report.tested import SINGLE_TASK, TASK, Tested
from search.report.wording import (
    SHORT,
    code,
    count,
    depth_cell,
    escape,
    interval,
    model_cell,
    percent,
    settings,
    signed,
    table,
    verdict,
)

_NAMED = ("sharing.structure", "sharing.divergence_depth", "weighting.method")


def tasks_section(findings: Findings) -> str:
    """Return the best configuration of each task, chosen on its dev rows alone."""
    models = {task: findings.models.get(TASK + task) for task in findings.tasks}
    rows = [_task_row(findings, task, model) for task, model in models.items() if model]
    if not rows:
        return ""
    head = ["task", "structure", "depth", "weighting", "model", "dev", "test", "unseen", "average"]
    luck = max(findings.luck(task, model) for task, model in models.items() if model)
    parts = [
        "## The best configuration of each task",
        "Chosen on the task's own dev rows, tested once; `average` is the test accuracy of the "
        "model that is best on average.",
        table(head, rows, text_columns=5),
        f"The dev scores are the best of {count(findings.n_scored, 'trial')} and their epochs. Of "
        f"that many equally good trials the luckiest looks up to {percent(luck)} points better "
        "on one task than it is, so hold to the test columns.",
        _settings_list(findings),
    ]
    return "\n\n".join(part for part in parts if part)


def transfer_section(findings: Findings) -> str:
    """Return sharing against single-task training, task by task: who pays for the average."""
    single, shared = findings.single_task, findings.average
    if shared is None or shared.structure == SINGLE_TASK:
        shared = findings.sharing
    if single is None or shared is None:
        return ""
    assert shared.trial is not None
    assert single.trial is not None
    found = sorted(
        ((task, findings.compare(shared, single, [task])) for task in findings.tasks),
        key=lambda pair: _mean(pair[1]),
    )
    head = ["task", "dev", "test (95% interval)", "", "unseen test rows"]
    columns = len(head) if findings.has_seen_rows else len(head) - 1
    rows = [
        [escape(task), signed(c.dev), interval(c.test), verdict(c.test), interval(c.unseen)]
        for task, c in found
    ]
    return "\n\n".join(
        [
            "## Where sharing hurts",
            f"{code(shared.trial.structure)} ({escape(shared.trial.id)}) less the best "
            f"{code(SINGLE_TASK)} ({escape(single.trial.id)}), in points. {_who_pays(found)}",
            table(head[:columns], [row[:columns] for row in rows]),
        ]
    )


def _task_row(findings: Findings, task: str, model: Tested) -> list[str]:
    assert model.trial is not None
    best = findings.average
    structure = model.trial.structure
    return [
        escape(task),
        SHORT.get(structure, escape(structure)),
        depth_cell(model.trial),
        escape(model.trial.config["weighting"]["method"]),
        model_cell(model.trial, model.epoch),
        percent(model.dev[task]),
        percent(mean_score(model.correct, [task])),
        percent(mean_score(model.unseen, [task])),
        percent(mean_score(best.correct, [task]) if best else None),
    ]


def _settings_list(findings: Findings) -> str:
    """Return each tested trial with its other searched values, and what it is the best of."""
    uses: dict[str, list[str]] = {}
    values: dict[str, str] = {}
    for name, model in findings.models.items():
        assert model.trial is not None
        uses.setdefault(model.trial.id, []).append(name.removeprefix(TASK))
        values[model.trial.id] = settings(model.trial.values, leave_out=_NAMED)
    lines = [
        f"- {code(trial)} ({', '.join(map(escape, names))}): {values[trial]}"
        for trial, names in sorted(uses.items())
        if values[trial]
    ]
    return "Other searched values of the models tested:\n\n" + "\n".join(lines) if lines else ""


def _who_pays(found: Sequence[tuple[str, Comparison]]) -> str:
    below = [escape(task) for task, compared in found if _mean(compared) < 0]
    sure = [escape(task) for task, compared in found if verdict(compared.test) == "worse"]
    if not below:
        return f"On test no task is below it, of {len(found)}."
    are = "is" if len(below) == 1 else "are"
    text = (
        f"On test {len(below)} of {count(len(found), 'task')} {are} below it: {', '.join(below)}; "
    )
    if not sure:
        return f"{text}the interval of each covers zero."
    text += f"with an interval that leaves zero out: {', '.join(sure)}."
    if len(found) >= 10:
        text += f" Of {len(found)} such intervals about {len(found) / 20:.1f} do so by chance."
    return text


def _mean(comparison: Comparison) -> float:
    return comparison.test.mean if comparison.test else 0.0
