"""The sections of the page in their order; one without anything to say is left out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from search.report.account import cost, counts, data_notes, search_end
from search.report.affinity_words import on_groups
from search.report.by_arm import find_arms
from search.report.html import relations
from search.report.html.again import again
from search.report.html.budget import facts, failures
from search.report.html.curves import all_curves_figure, curves_figure
from search.report.html.data import task_rows
from search.report.html.depth import depth_figure
from search.report.html.figures import Figure
from search.report.html.front import front_figure, options
from search.report.html.gains import gains_figure
from search.report.html.history import history_figure
from search.report.html.importance import by_importance, importance_figure, importances
from search.report.html.material import Material
from search.report.html.plans import pictures
from search.report.html.seeds import lines, seeds_figure
from search.report.html.settings import parallel_figure, slice_figures
from search.report.html.trials import MAX_KEYS
from search.report.html.winners import best_of_tasks


@dataclass(frozen=True)
class Section:
    """A part of the page, written by the template of its name.

    Args:
        name: Of the template, and the section's id.
        values: What the template needs besides the figures.
    """

    name: str
    title: str
    figures: list[Figure] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def template(self) -> str:
        return f"{self.name}.html.j2"


def sections(material: Material) -> list[Section]:
    """Return the sections that have something to say."""
    found = [make(material) for make in _ORDER]
    return [section for section in found if section is not None]


def _tasks(material: Material) -> Section | None:
    findings, arms = material.findings, material.arms
    if not arms:
        return None
    values: dict[str, Any] = {"arms": arms, "unseen": None}
    values["best_of_tasks"] = best_of_tasks(findings, material.selection)
    if findings.has_seen_rows and arms.split == "test":
        values["unseen"] = find_arms(findings, unseen=True)
    return Section("tasks", "Tasks and arms", _present(gains_figure(findings)), values)


def _seeds(material: Material) -> Section | None:
    figure = seeds_figure(material.findings, material.looks)
    if figure is None:
        return None
    return Section("seeds", "Trained anew", [figure], {"lines": lines(material.findings)})


def _depth(material: Material) -> Section | None:
    figure = depth_figure(material.findings, material.selection, material.looks)
    if figure is None or material.findings.of_one_task:
        return None
    return Section("depth", "Divergence depth", [figure])


def _plans(material: Material) -> Section | None:
    found = pictures(material.findings)
    return Section("plans", "The winners' plans", [], {"pictures": found}) if found else None


def _settings(material: Material) -> Section | None:
    trials = material.scored
    if len(trials) < 2 or not material.columns:
        return None
    shares = importances(material.space, trials)
    columns = by_importance(material.columns, shares)
    bars = importance_figure(shares, len(trials))
    slices = slice_figures(columns, trials, material.looks)
    parallel = parallel_figure(columns, trials)
    figures = [*_present(bars), *slices, *_present(parallel)]
    values = {"importance": bars, "slices": slices, "parallel": parallel}
    return Section("settings", "What mattered", figures, values | {"left": len(columns) - MAX_KEYS})


def _front(material: Material) -> Section | None:
    record = material.findings.record
    figure = front_figure(record, material.selection, material.looks)
    if figure is None:
        return None
    values = {"options": options(record, material.pareto)}
    return Section("front", "Mean against worst task", [figure], values)


def _curves(material: Material) -> Section | None:
    arms = curves_figure(material.arms, material.findings.tasks, material.looks)
    figures = [*_present(arms), *_present(all_curves_figure(material.trials, material.looks))]
    return Section("curves", "Learning curves", figures) if figures else None


def _relations(material: Material) -> Section | None:
    found = material.affinity
    figures = relations.affinity_figures(found)
    figures += _present(relations.attention_figure(found))
    if not figures:
        return None
    values = {
        "groups": relations.suggested(found),
        "on_groups": on_groups(found),
        "agreements": relations.agreements(found),
        "fit": str((found.get("fit") or {}).get("words", "")),
        "trial": found.get("trial"),
        "steps": found.get("steps"),
    }
    return Section("relations", "How the tasks relate", figures, values)


def _data(material: Material) -> Section | None:
    audit = material.audit
    if not audit:
        return None
    rows = task_rows(audit)
    values = {"headline": audit.get("headline", ""), "rows": rows, "notes": data_notes(audit)}
    values["unit"] = audit.get("unit", "words")
    return Section("data", "The data", [], values)


def _search(material: Material) -> Section | None:
    findings, record = material.findings, material.findings.record
    if not material.trials:
        return None
    values = {
        "facts": facts(record, material.space.search),
        "counts": counts(findings, material.space.size()),
        "cost": cost(findings),
        "end": search_end(record),
        "failures": failures(record),
    }
    figures = _present(history_figure(material.trials, material.looks))
    return Section("search", "How the search went", figures, values)


def _again(material: Material) -> Section | None:
    return Section("again", "Do it again, use it", [], again(material))


def _present(figure: Figure | None) -> list[Figure]:
    return [] if figure is None else [figure]


_ORDER: tuple[Callable[[Material], Section | None], ...] = (
    _tasks,
    _seeds,
    _depth,
    _plans,
    _settings,
    _front,
    _curves,
    _relations,
    _data,
    _search,
    _again,
)
