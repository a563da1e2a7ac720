"""How a name and a strong sentence look where they are read: on the terminal, or in Markdown."""

from collections.abc import Callable
from dataclasses import dataclass

from search.report.tested import Tested
from search.report.wording import code, depth_in_words


@dataclass(frozen=True)
class Marks:
    """How a name and a strong sentence are written."""

    name: Callable[[str], str]
    strong: Callable[[str], str]


PLAIN = Marks(name=str, strong=str)
MARKDOWN = Marks(name=code, strong=lambda text: f"**{text}**")


def describe(model: Tested, marks: Marks) -> str:
    """Return the structure, depth and weighting of a model in words."""
    assert model.trial is not None
    weighting = marks.name(model.trial.config["weighting"]["method"])
    structure = marks.name(model.trial.structure)
    return f"{structure}, {depth_in_words(model.trial)}, weighting {weighting}"
