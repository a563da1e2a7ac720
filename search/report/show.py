"""`branchpoint show`: the answer, the table and the plans of a study, in the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from mtl_core.model.drawing import plan_table
from search.report.basis import basis
from search.report.by_arm import Arm, Arms, Cell, find_arms
from search.report.findings import Findings
from search.report.headline import answer, comparison
from search.report.html.plans import Picture, pictures
from search.report.marks import PLAIN
from search.report.wording import count, depth_cell, listed, percent
from search.study import open_study

MOST_PLANS = 4
_MARKS = {"best": "*", "level": "~", "": ""}
_STYLES = {"best": "bold green", "level": "", "": ""}
_WIDE = 15  # columns that an arm takes with its interval


def show(folder: Path, console: Console | None = None) -> None:
    """Print what a study found out; raises `ConfigError` where the folder holds none.

    Args:
        console: Where to print; None: the terminal.
    """
    out = console or Console()
    study = open_study(folder)
    findings = Findings(study.record)
    texts = [Text(text) for text in answer(findings, PLAIN)]
    texts.append(Text(comparison(findings, PLAIN), no_wrap=True, overflow="ignore"))
    for text in (*texts, Text(basis(findings))):
        if text:
            out.print(text, end="\n\n")
    arms = find_arms(findings)
    if arms:
        out.print(arms_table(arms, findings.tasks, width=out.width))
    for title, table in _plans(pictures(findings), findings.tasks, width=out.width):
        out.print()
        out.print(Text(title, style="bold"))
        if table is not None:
            out.print(table)


def arms_table(arms: Arms, tasks: Sequence[str], *, width: int) -> Group:
    """Return tasks by arms; intervals only where the terminal is wide enough for them."""
    longest = max(map(len, tasks), default=4)
    with_interval = width >= longest + _WIDE * len(arms.all)
    what = "test" if arms.split == "test" else "dev, nothing is tested yet"
    if with_interval and arms.split == "test":
        what += ", ± half the 95% interval"
    table = Table()
    table.add_column("task", overflow="fold")
    for arm in arms.all:
        table.add_column(Text(arm.head), justify="right", no_wrap=True)
    for task in tasks:
        cells = [_cell(arm.cells[task], with_interval=with_interval) for arm in arms.all]
        table.add_row(Text(task), *cells)
    table.add_section()
    means = [_cell(arm.mean, with_interval=with_interval) for arm in arms.all]
    table.add_row(Text("mean", style="bold"), *means)
    table.add_row(Text("depth", style="dim"), *(Text(_depth(arm), style="dim") for arm in arms.all))
    if not _fits(table, width):
        table.padding = (0, 0)  # task names give way to scores, and would be a letter wide
    title = Text(f"Scores times 100, {what}", style="bold")
    return Group(title, table, Text("* best of its row, ~ no difference from it is seen"))


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
