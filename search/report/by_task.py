"""Task by task: the configuration that is best for it, and whether it pays for the others' gain."""

from collections.abc import Mapping, Sequence

from search.report.by_seed import roles_in_words
from search.report.confirmation import compared, corrected
from search.report.findings import Comparison, Findings
from search.report.intervals import differences
from search.report.marks import MARKDOWN
from search.report.statistics import Difference, mean_score
from search.report.tested import SINGLE_TASK, TASK, Tested
from search.report.wording import (
    SHORT,
    code,
    count,
    depth_cell,
    escape,
    interval,
    model_cell,
    p_value,
    percent,
    plus_minus,
    settings,
    signed,
    table,
    verdict,
)
from search.report.worth import by_task_in_words

_NAMED = ("sharing.structure", "sharing.divergence_depth", "weighting.method")


def tasks_section(findings: Findings) -> str:
    """Return the best configuration of each task, chosen on its dev rows alone."""
    if findings.of_one_task:  # whose best is the best on average
        listed = _settings_list(findings)
        return f"## The settings of what was tested\n\n{listed}" if listed else ""
    models = {task: findings.models.get(TASK + task) for task in findings.tasks}
    if findings.confirmation:
        return _confirmed_tasks(findings, {t: model for t, model in models.items() if model})
    rows = [_task_row(findings, task, model) for task, model in models.items() if model]
    if not rows:
        return ""
    head = ["task", "structure", "depth", "weighting", "model", "dev", "test", "unseen", "average"]
    luck = max(findings.luck(task) for task, model in models.items() if model)
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


def _confirmed_tasks(findings: Findings, models: Mapping[str, Tested]) -> str:
    """Return the same of configurations that were trained anew, held against single-task."""
    if not models:
        return ""
    single = findings.single_task
    found = _families(models, single) if single else {}
    rows = [_confirmed_row(findings, task, model, found) for task, model in models.items()]
    head = ["task", "structure", "depth", "weighting", "model", "dev", "test ± 95%", "average"]
    head += ["less single-task (95% interval)", ""]
    parts = [
        "## The best configuration of each task",
        "Chosen in the search by estimates that pool over tasks and trials, since a task's own dev "
        "rows are few; dev and test are the means over runs with fresh seeds. `average` is the "
        "test score of the configuration that is best on average. Better and worse are said after "
        f"Holm's correction over {count(len(models), 'task')}.",
        table(head, rows, text_columns=5),
        _settings_list(findings),
    ]
    return "\n\n".join(part for part in parts if part)


def _families(models: Mapping[str, Tested], single: Tested) -> dict[str, Difference]:
    """Return each task's best less single-task training, corrected over the tasks."""
    pairs = {task: (model, single) for task, model in models.items() if model.trial != single.trial}
    tasks = list(single.dev)
    found = {t: differences(a.test_runs, b.test_runs, tasks) for t, (a, b) in pairs.items()}
    return corrected({task: of_all[task] for task, of_all in found.items() if task in of_all})


def _confirmed_row(
    findings: Findings, task: str, model: Tested, found: Mapping[str, Difference]
) -> list[str]:
    assert model.trial is not None
    best = findings.average
    structure = model.trial.structure
    average = findings.score(best, [task]) if best else None
    mine = findings.score_of_task(model, task)
    return [
        escape(task),
        SHORT.get(structure, escape(structure)),
        depth_cell(model.trial),
        escape(model.trial.config["weighting"]["method"]),
        model_cell(model.trial, model.epoch, len(model.runs)),
        percent(model.dev[task]),
        plus_minus(mine),
        percent(average.mean if average else None),
        interval(found.get(task)),
        verdict(found[task], with_detectable=True) if task in found else "",
    ]


def transfer_section(findings: Findings) -> str:
    """Return sharing against single-task training, task by task: who pays for the average."""
    single, shared = findings.single_task, findings.average
    if shared is None or shared.structure == SINGLE_TASK:
        shared = findings.sharing
    if single is None or shared is None or findings.of_one_task:
        return ""
    assert shared.trial is not None
    assert single.trial is not None
    if findings.confirmation:
        return _confirmed_transfer(findings, shared, single)
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


def _confirmed_transfer(findings: Findings, shared: Tested, single: Tested) -> str:
    """Return the same of configurations that were trained anew, corrected over the tasks."""
    assert shared.trial is not None
    assert single.trial is not None
    found = compared(shared, single, findings.tasks)
    ordered = sorted(found.by_task, key=lambda task: found.by_task[task].mean)
    head = ["task", "dev", "test (95% interval)", "", "p (Holm)", "unseen test rows"]
    columns = len(head) if findings.has_seen_rows else len(head) - 1
    rows = [
        [
            escape(task),
            signed(shared.dev[task] - single.dev[task]),
            interval(found.by_task[task]),
            verdict(found.by_task[task], with_detectable=True),
            p_value(found.by_task[task].adjusted),
            interval(found.unseen_by_task.get(task)),
        ]
        for task in ordered
    ]
    return "\n\n".join(
        [
            "## Where sharing hurts",
            f"{code(shared.trial.structure)} ({escape(shared.trial.id)}, "
            f"{count(shared.seeds, 'run')}) less the best {code(SINGLE_TASK)} "
            f"({escape(single.trial.id)}, {count(single.seeds, 'run')}), in points. "
            f"{by_task_in_words(found.by_task, MARKDOWN)}",
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
        uses.setdefault(model.trial.id, []).append(name)
        values[model.trial.id] = settings(model.trial.values, leave_out=_NAMED)
    lines = [
        f"- {code(trial)} ({', '.join(map(escape, roles_in_words(names)))}): {values[trial]}"
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
