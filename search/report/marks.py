"""How names and strong sentences look where they are read: on the terminal, or in Markdown."""

from collections.abc import Callable
from dataclasses import dataclass

from search.report.tested import Tested
from search.report.wording import code, depth_in_words, escape


@dataclass(frozen=True)
class Marks:
    """How names and sentences are written.

    Args:
        name: Of the program's own: a structure, a weighting.
        text: From data or from an error, shown as it is.
    """

    name: Callable[[str], str]
    strong: Callable[[str], str]
    text: Callable[[str], str] = str


PLAIN = Marks(name=str, strong=str)
MARKDOWN = Marks(name=code, strong=lambda text: f"**{text}**", text=escape)


def describe(model: Tested, marks: Marks) -> str:
    """Return the structure, depth and weighting of a model in words.

    One task has no others to part from or to be weighted against.
    """
    assert model.trial is not None
    weighting = marks.name(model.trial.config["weighting"]["method"])
    structure = marks.name(model.trial.structure)
    depth = depth_in_words(model.trial)
    if len(model.dev) > 1:
        return f"{structure}, {depth}, weighting {weighting}"
    return f"{structure}, {depth}" if model.trial.structure.startswith("layerwise") else structure
