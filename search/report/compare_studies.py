"""`branchpoint compare`: studies side by side, what differs in them and what they found."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from mtl_core.errors import ConfigError
from mtl_core.foreign import read_object
from search.place import SPACE
from search.report.findings import Findings
from search.report.marks import PLAIN, describe
from search.report.side_by_side import (
    Lines,
    Side,
    common_tasks,
    differences_of_data,
    differences_of_spaces,
    differences_of_versions,
    less_the_first,
    scores_of,
)
from search.report.wording import (
    NOTHING,
    count,
    duration,
    interval,
    plus_minus,
    score_interval,
    signed,
    verdict,
)
from search.space import load_space
from search.study import open_study
from search.views import AUDIT, ENVIRONMENT


def compare(folders: Sequence[Path], console: Console | None = None) -> None:
    """Print the studies side by side.

    Raises:
        ConfigError: Fewer than two folders, one twice, or folders that hold no study; all faults
            at once.
    """
    sides = _sides(folders)
    out = console or Console()
    for part in _parts(sides):
        out.print(part)
        out.print()


def _sides(folders: Sequence[Path]) -> list[Side]:
    faults = []
    if len(folders) < 2:
        faults.append(f"compare: found {count(len(folders), 'folder')}, two or more would be right")
    places = [folder.resolve() for folder in folders]
    faults += [
        f"{folder}: is named twice; compare needs different studies"
        for at, folder in enumerate(folders)
        if places[at] in places[:at]
    ]
    found = []
    for label, folder in zip(labels(folders), folders, strict=True):
        try:
            found.append(_side(label, folder))
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(dict.fromkeys(faults))
    return found


def labels(folders: Sequence[Path]) -> list[str]:
    """Return names for the folders: their own, with as much of the path as tells them apart."""
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, 1 + max(map(len, parts), default=1)):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def _side(label: str, folder: Path) -> Side:
    study = open_study(folder)
    space = load_space(folder / SPACE)
    audit, environment = read_object(folder / AUDIT), read_object(folder / ENVIRONMENT)
    return Side(label, Findings(study.record), space, audit, environment)


def _parts(sides: Sequence[Side]) -> Iterator[RenderableType]:
    yield _results(sides)
    tasks = common_tasks(sides)
    if tasks and all(side.findings.average is not None for side in sides):
        yield _by_task(sides, tasks)
    else:
        yield Text("No task of theirs is tested in all of them, so there is no table by task.")
    for name, lines in (
        ("space", differences_of_spaces(sides)),
        ("data", differences_of_data(sides)),
        ("versions", differences_of_versions(sides)),
    ):
        yield _differences(name, lines, sides)


def _results(sides: Sequence[Side]) -> Group:
    """Return what each study found, one column a study."""
    table = Table()
    table.add_column("")
    for side in sides:
        table.add_column(Text(side.label), overflow="fold")
    columns = [_result(side) for side in sides]
    for name in columns[0]:
        table.add_row(name, *(Text(column[name]) for column in columns))
    return _titled("What they found", table)


def _result(side: Side) -> dict[str, str]:
    findings = side.findings
    best, single = findings.average, findings.single_task
    gain = None
    if best is not None and single is not None and best.trial is not single.trial:
        gain = findings.compare(best, single).test
    runs = findings.confirmation.n_runs if findings.confirmation else 0
    score = findings.score(best) if best else None
    return {
        "best on average": "nothing is tested yet" if best is None else describe(best, PLAIN),
        "test (95% interval)": score_interval(score, findings.unit),
        "less single_task": f"{interval(gain)}: {verdict(gain)}" if gain else NOTHING,
        "trials": f"{len(findings.record.trials):,}",
        "runs with fresh seeds": f"{runs:,}",
        "time": duration(findings.record.seconds_used),
    }


def _by_task(sides: Sequence[Side], tasks: Sequence[str]) -> Group:
    """Return the test score of each study's best on average, task by task."""
    same = all(side.fingerprint == sides[0].fingerprint for side in sides)
    rows = "" if same else "; the data differ, so differences have no interval"
    table = Table()
    table.add_column("task")
    for side in sides:
        table.add_column(Text(side.label), justify="right")
    for side in sides[1:]:
        table.add_column(Text(f"{side.label} less {sides[0].label}"), justify="right")
    for task in tasks:
        table.add_row(*_line(sides, tasks, task))
    table.add_section()
    table.add_row(*_line(sides, tasks))
    return _titled(f"The best on average of each, test ± half the 95% interval{rows}", table)


def _line(
    sides: Sequence[Side], tasks: Sequence[str], task: str | None = None
) -> list[RenderableType]:
    """Return the line of a task, or of the mean over the tasks."""
    scores = scores_of(sides, tasks, task)
    name = f"mean of {count(len(tasks), 'task')}" if task is None else task
    cells: list[RenderableType] = [Text(name), *(plus_minus(one) for one in scores)]
    for at, found in enumerate(less_the_first(sides, tasks, task)[1:], start=1):
        first, mine = scores[0], scores[at]
        if found is not None:
            cells.append(f"{interval(found)}: {verdict(found)}")
        elif first is None or mine is None:
            cells.append(NOTHING)
        else:
            cells.append(signed(mine.mean - first.mean))
    return cells


def _differences(name: str, lines: Lines, sides: Sequence[Side]) -> RenderableType:
    if not lines:
        return Text(f"The {name}: no difference.")
    table = Table()
    table.add_column("", overflow="fold")
    for side in sides:
        table.add_column(Text(side.label), overflow="fold")
    for key, values in lines.items():
        table.add_row(Text(key), *map(Text, values))
    return _titled(f"The {name}", table)


def _titled(title: str, table: Table) -> Group:
    return Group(Text(title, style="bold"), table)
