"""`branchpoint show`: the answer, the table and the plans of a study, in the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from mtl_core.model.drawing import plan_table
from search.record import StudyRecord
from search.report.basis import basis
from search.report.by_arm import Arm, Arms, Cell, find_arms
from search.report.findings import Findings
from search.report.headline import answer, compared_lines, headline
from search.report.html.plans import Picture, pictures
from search.report.marks import PLAIN
from search.report.wording import count, depth_cell, listed, percent
from search.report.wording import table as markdown_table
from search.study import open_study

MOST_PLANS = 4
_MARKS = {"best": "*", "level": "~", "": ""}
_STYLES = {"best": "bold green", "level": "", "": ""}
_WIDE = 15  # columns that an arm takes with its interval
_SCORE, _NAME = len("100.0*"), 12  # columns that a score takes, and a task's name that is folded


def show(folder: Path, console: Console | None = None) -> None:
    """Print what a study found out; raises `ConfigError` where the folder holds none.

    Args:
        console: Where to print; None: the terminal.
    """
    out = console or Console()
    study = open_study(folder)
    findings = Findings(study.record)
    _print_answer(findings, out)
    arms = find_arms(findings)
    if arms:
        out.print()
        out.print(arms_table(arms, findings.tasks, width=out.width))
    for title, table in _plans(pictures(findings), findings.tasks, width=out.width):
        out.print()
        out.print(Text(title, style="bold"))
        if table is not None:
            out.print(table)


def print_headline(record: StudyRecord, console: Console | None = None) -> None:
    """Print the answer of a search that has ended: on a narrow terminal as wide as that."""
    out, text = console or Console(), headline(record)
    if out.is_terminal and max(map(cell_len, text.splitlines())) > out.width:
        _print_answer(Findings(record), out)
    else:
        out.out(text, highlight=False)


def arms_table(arms: Arms, tasks: Sequence[str], *, width: int) -> Group:
    """Return tasks by arms; intervals only where the terminal is wide enough for them.

    Arms that do not fit side by side go on in another table.
    """
    longest = max(map(cell_len, tasks), default=4)
    with_interval = width >= longest + _WIDE * len(arms.all)
    what = "test" if arms.split == "test" else "dev, nothing is tested yet"
    if with_interval and arms.split == "test":
        what += ", ± half the 95% interval"
    tables: list[Table] = []
    left = list(arms.all)
    while left:
        fitting = (n for n in range(len(left), 1, -1) if _least_width(left[:n], tasks) <= width)
        n = next(fitting, 1)
        tables.append(_arms_table(left[:n], tasks, with_interval=with_interval, width=width))
        left = left[n:]
    title = Text(f"Scores times 100, {what}", style="bold")
    return Group(title, *tables, Text("* best of its row, ~ no difference from it is seen"))


def _print_answer(findings: Findings, out: Console) -> None:
    parts: list[RenderableType] = [Text(text) for text in answer(findings, PLAIN)]
    lines = compared_lines(findings, PLAIN)
    if lines:
        parts.append(_comparison(lines, out.width))
    if findings.seen:
        parts.append(Text(basis(findings)))
    for at, part in enumerate(parts):
        if at:
            out.print()
        out.print(part)


def _comparison(lines: Sequence[Sequence[str]], width: int) -> RenderableType:
    """Return the best less its rivals: as the report has it, or folded where that is too wide."""
    text = markdown_table(lines[0], lines[1:])
    if cell_len(text.partition("\n")[0]) <= width:
        return Text(text)
    table = Table(padding=(0, 0))
    for at, head in enumerate(lines[0]):
        table.add_column(head, justify="right" if 0 < at != 3 else "left", overflow="fold")
    for line in lines[1:]:
        table.add_row(*map(Text, line))
    return table


def _least_width(arms: Sequence[Arm], tasks: Sequence[str]) -> int:
    """Return how wide a table of these arms is, with task names and heads folded."""
    longest = max(map(cell_len, ("depth", *tasks)))
    return 2 + min(longest, _NAME) + sum(1 + _narrowest(arm) for arm in arms)


def _narrowest(arm: Arm) -> int:
    return max(_SCORE, *map(cell_len, arm.head.split()))


def _arms_table(
    arms: Sequence[Arm], tasks: Sequence[str], *, with_interval: bool, width: int
) -> Table:
    table = Table()
    table.add_column("task", overflow="fold")
    for arm in arms:
        table.add_column(Text(arm.head), justify="right", overflow="fold")
    for task in tasks:
        cells = [_cell(arm.cells[task], with_interval=with_interval) for arm in arms]
        table.add_row(Text(task), *cells)
    table.add_section()
    means = [_cell(arm.mean, with_interval=with_interval) for arm in arms]
    table.add_row(Text("mean", style="bold"), *means)
    table.add_row(Text("depth", style="dim"), *(Text(_depth(arm), style="dim") for arm in arms))
    if not _fits(table, width):
        table.padding = (0, 0)
        for arm, column in zip(arms, table.columns[1:], strict=True):
            column.width = _narrowest(arm)  # task names give way to scores
    return table


def _fits(table: Table, width: int) -> bool:
    columns = [(column.header, *column.cells) for column in table.columns]
    widest = [max(cell_len(str(cell)) for cell in column) for column in columns]
    return 1 + sum(3 + each for each in widest) <= width  # 3: a line and a space on either side


def _cell(cell: Cell, *, with_interval: bool) -> Text:
    if cell.score is None:
        return Text("–", style="dim")
    text = Text(f"{percent(cell.score)}", style=_STYLES[cell.mark])
    if with_interval and cell.low is not None and cell.high is not None:
        text.append(f" ±{percent((cell.high - cell.low) / 2)}", style="dim")
    return text.append(_MARKS[cell.mark] or " ")


def _depth(arm: Arm) -> str:
    return "" if arm.trial is None else depth_cell(arm.trial) + " "


def _plans(
    found: Sequence[Picture], tasks: Sequence[str], *, width: int
) -> list[tuple[str, Group | None]]:
    """Return the plans of what is best on average or for a task, and how many are left out."""
    winners = [picture for picture in found if picture.uses]
    shown: list[tuple[str, Group | None]] = [
        (
            f"{picture.title}: best for {listed(picture.uses)}",
            plan_table(picture.plan, tasks, width=width),
        )
        for picture in winners[:MOST_PLANS]
    ]
    left = len(winners) - MOST_PLANS
    if left > 0:
        shown.append((f"{count(left, 'more plan')} in report.html", None))
    return shown
