"""`report.html`: one file that opens anywhere, offline: the answer first, then what it rests on.

Sections come from `sections.py`; templates write them. Every text from data or configuration goes
through the templates' escaping, through `json_for_script`, or, in figures, through `plain`.
"""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from search.report.basis import basis
from search.report.faults import faults
from search.report.headline import answer, question
from search.report.html.comparison import comparison
from search.report.html.details import details
from search.report.html.embedding import json_for_script, plotly, scripts, styles
from search.report.html.material import Material
from search.report.html.sections import Section, sections
from search.report.html.wording import FILTERS
from search.report.marks import Marks

# Marks of the headline's names; no keyboard has them, and in a name they would do no harm.
_BEGIN, _END = "\ue000", "\ue001"
_MARKS = Marks(name=lambda name: f"{_BEGIN}{name}{_END}", strong=str)


def page(material: Material) -> str:
    """Return the whole page."""
    found = sections(material)
    sentences = [_named(sentence) for sentence in answer(material.findings, _MARKS)]
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            material=material,
            sections=found,
            sentences=sentences,
            comparison=comparison(material.findings),
            basis=basis(material.findings),
            question=question(material.findings),
            faults=faults(material.findings),
            data=_data(material, found),
            styles=styles(),
            scripts=scripts(),
            plotly=plotly(),
        )
    )


def _data(material: Material, found: list[Section]) -> Markup:
    """Return what the page's scripts draw, as JSON."""
    figures = [figure for section in found for figure in section.figures]
    return json_for_script(
        {
            "study": material.name,
            "figures": {figure.name: figure.as_dict() for figure in figures},
            "trials": details(material.findings, material.arms, material.selection),
            "arms": {name: material.looks.number(name) for name in material.looks.names},
        }
    )


def _named(sentence: str) -> Markup:
    """Return an escaped sentence with its names as code."""
    text = str(Markup.escape(sentence)).replace(_BEGIN, "<code>").replace(_END, "</code>")
    return Markup(text)


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("search.report.html", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    return environment
