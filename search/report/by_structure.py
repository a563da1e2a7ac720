"""The table of the published study: tasks x structures, beside the cheap baselines."""

from collections.abc import Mapping, Sequence

from search.report.findings import Findings
from search.report.intervals import Runs, score, scores
from search.report.statistics import Score
from search.report.tested import Tested
from search.report.wording import (
    code,
    depth_cell,
    escape,
    model_cell,
    percent,
    plus_minus,
    short,
    table,
)

BASELINE_HEADS = {"tfidf": "TF-IDF", "tfidf_pooled": "pooled", "majority": "majority"}


def structures_section(findings: Findings) -> str:
    """Return the table on all test rows, then on those that no train split has."""
    columns = _columns(findings)
    if not columns:
        return ""
    parts = [
        "## Tasks and structures",
        _what_is_shown(findings),
        _accuracies(findings, {head: tested.test_runs for head, tested in columns.items()}),
    ]
    if findings.has_seen_rows:
        parts += [
            "The same on the unseen test rows, those that occur in no train split of any task:",
            _accuracies(findings, {head: tested.unseen_runs for head, tested in columns.items()}),
        ]
    else:
        parts.append("No test row occurs in a train split: all of them are unseen.")
    parts += [_legend(findings), _baseline_legend(findings)]
    return "\n\n".join(part for part in parts if part)


def _what_is_shown(findings: Findings) -> str:
    scores = "Test accuracy in percent" if findings.of_accuracy else "Test scores, times 100"
    if findings.confirmation is None:
        return (
            f"{scores}. Of each structure the configuration and epoch that are best on the mean of "
            "the dev scores; the best of each row in bold."
        )
    return (
        f"{scores}, the mean over runs with fresh seeds, ± half the 95% interval over seeds and "
        "rows. Of each structure the configuration whose runs are best on the mean of the dev "
        "scores; the best of each row in bold."
    )


def _columns(findings: Findings) -> dict[str, Tested]:
    columns = {escape(short(n)): model for n, model in findings.arms.items()}
    columns |= {
        head: findings.baselines[name]
        for name, head in BASELINE_HEADS.items()
        if name in findings.baselines
    }
    return columns


def _accuracies(findings: Findings, columns: Mapping[str, Runs]) -> str:
    sizes = {task: len(rows) for task, rows in next(iter(columns.values())).rows[0].items()}
    confirmed = findings.confirmation is not None
    by_task = [scores(runs, findings.tasks) for runs in columns.values()]
    lines = []
    for task in findings.tasks:
        cells = _best_in_bold([of.get(task) for of in by_task], with_width=confirmed)
        lines.append([escape(task), f"{sizes[task]:,}", *cells])
    means = [score(runs, findings.tasks) for runs in columns.values()]
    total = sum(sizes[task] for task in findings.tasks)
    cells = _best_in_bold(means, with_width=confirmed)
    lines.append(["**mean**", f"{total:,}", *cells])
    return table(["task", "rows", *columns], lines)


def _best_in_bold(found: Sequence[Score | None], *, with_width: bool) -> list[str]:
    best = percent(max((one.mean for one in found if one is not None), default=None))
    cells = []
    for one in found:
        mean = percent(one.mean if one else None)
        cell = plus_minus(one) if with_width else mean
        cells.append(f"**{cell}**" if one is not None and mean == best else cell)
    return cells


def _legend(findings: Findings) -> str:
    """Say which configuration each column is, and of how many trials it is the best."""
    rows = []
    for name, model in findings.arms.items():
        assert model.trial is not None
        rows.append(
            [
                escape(short(name)),
                code(model.trial.structure),
                depth_cell(model.trial),
                escape(model.trial.config["weighting"]["method"]),
                model_cell(model.trial, model.epoch, len(model.runs)),
                percent(findings.dev(model)),
                str(findings.n_tried(name)),
            ]
        )
    if not rows:
        return ""
    head = ["column", "structure", "depth", "weighting", "model", "dev", "best of trials"]
    explained = "What the columns are (depth: layers that all tasks compute alike, of all layers):"
    return f"{explained}\n\n{table(head, rows, text_columns=5)}"


def _baseline_legend(findings: Findings) -> str:
    names = [
        f"`{head}`: {findings.in_words(name)}"
        for name, head in BASELINE_HEADS.items()
        if name in findings.baselines
    ]
    return f"{'; '.join(names)}." if names else ""
