"""`branchpoint predict`: an exported model's answers for the lines of a stream.

Lines are read as those of task files are, so that a text is the same here as it was in training.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import typer

import mtl_core
from mtl_core.data.lines import lines_of
from mtl_core.data.rows import Malformed, first_few
from mtl_core.errors import ConfigError, check_names

SOURCE = "standard input"
_NOT_IN_A_LINE = re.compile(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")


def answers(
    folder: Path, task: str, given: BinaryIO | None, *, probabilities: bool
) -> Iterator[str]:
    """Yield an answer for each line; what is odd about the lines goes to the error stream.

    Args:
        given: None where the program was started with its standard input closed.

    Raises:
        ConfigError: There is no such model or task, lines are not what it is of, or probabilities
            are asked for that it has not.
    """
    predictor = mtl_core.load(folder)
    check_names([task], predictor.tasks, where="task")
    kind = predictor.infos[task].kind
    if probabilities and kind == "regression":
        raise ConfigError(f"--probabilities: task {task!r} is of values, which have none")
    if given is None:
        raise ConfigError(f"{SOURCE}: found closed; texts, one a line, would be right: < FILE")
    lines, notes = lines_of(given.read(), source=SOURCE)
    if not lines[-1]:
        lines.pop()  # what ends in a line end has no line after it
    for note in first_few(SOURCE, [Malformed(n.line or 0, n.message) for n in notes]):
        typer.echo(note, err=True)
    between = " " if kind == "tagging" else "\t"
    for said in predictor.predict_lines(task, lines):
        shares = between.join(f"{share:.4f}" for share in said.of_answer)
        label = _in_one_line(said.label)
        yield f"{label}\t{shares}" if probabilities and shares else label


def _in_one_line(label: str) -> str:
    """Return a label without what would end its line or column, as labels of CSV and JSON may."""
    return _NOT_IN_A_LINE.sub(lambda found: repr(found[0])[1:-1], label)
