"""The main job, a search on the built-in corpus, with lanes and with the program before them.

    python tests/benchmarks/test_main_job.py [--rounds 1] [--without-former]

Both run as commands, in turns, on the same machine; the former program is taken from the history of
the repository, the space is that of today. Required: no slower than before, and less than 15 % of
the time outside training and evaluation.
"""

import argparse
import io
import statistics
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from machine import describe, make_console
from rich.table import Table
from search_run import ROOT, SearchRun, run_search, training_seconds

SPACE = "layerwise"
BEFORE_LANES = "38bf706"  # the last commit with a trial in each process
MOST_OUTSIDE = 0.15

Runs = dict[str, list[SearchRun]]


def former_program(folder: Path) -> Path:
    """Write the program before lanes into a folder, and return it."""
    command = ["git", "-C", str(ROOT), "archive", BEFORE_LANES]
    packed = subprocess.run(command, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def measure(rounds: int, former: Path | None) -> Runs:
    """Run the job with each program in turn."""
    programs = {"with lanes": ROOT} if former is None else {"before": former, "with lanes": ROOT}
    runs: Runs = {name: [] for name in programs}
    for _ in range(rounds):
        for name, source in programs.items():
            runs[name].append(run_search(SPACE, {}, source=source))
    return runs


def median_seconds(runs: list[SearchRun]) -> float:
    return statistics.median(run.seconds for run in runs)


def table_of(runs: Runs) -> Table:
    table = Table(title=f"spaces/{SPACE}.yaml, as a command")
    columns = ("seconds", "until trials end", "training", "testing", "outside", "trials", "epochs")
    for column in ("program", *columns):
        table.add_column(column, justify="left" if column == "program" else "right")
    for name, of_program in runs.items():
        for run in of_program:
            table.add_row(
                name,
                *(f"{seconds:.1f}" for seconds in _seconds(run)),
                f"{run.outside:.0%}",
                str(run.trials),
                str(run.epochs),
            )
    return table


def _seconds(run: SearchRun) -> tuple[float, ...]:
    return run.seconds, run.searching, run.training, run.testing


def test_lanes_that_train_at_the_same_time_count_once() -> None:
    def reported(trial: str, time: float, seconds: float) -> dict[str, object]:
        return {"event": "reported", "trial": trial, "time": time, "seconds": seconds}

    events = [
        {"event": "started", "trial": "t1", "worker": "engine1"},
        {"event": "started", "trial": "t2", "worker": "engine1"},
        {"event": "started", "trial": "t3", "worker": "engine2"},
        reported("t1", 10.0, 4.0),
        reported("t2", 12.0, 4.0),  # two of them beside the first
        reported("t3", 12.0, 2.0),
        reported("t1", 20.0, 3.0),
    ]

    assert training_seconds(events) == pytest.approx(((6 + 3) + 2) / 2)


@pytest.mark.slow
@pytest.mark.cluster
def test_the_main_job_is_no_slower_than_before_lanes(tmp_path: Path) -> None:
    runs = measure(1, former_program(tmp_path))

    make_console().print(table_of(runs))
    assert median_seconds(runs["with lanes"]) <= median_seconds(runs["before"])
    assert runs["with lanes"][0].outside < MOST_OUTSIDE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--without-former", action="store_true")
    given = parser.parse_args()
    console = make_console()
    with TemporaryDirectory() as folder:
        former = None if given.without_former else former_program(Path(folder))
        runs = measure(given.rounds, former)
    console.print(table_of(runs))
    if former is not None:
        ratio = median_seconds(runs["before"]) / median_seconds(runs["with lanes"])
        console.print(f"{ratio:.2f} times as fast as before lanes ({BEFORE_LANES})")
    console.print(describe(), highlight=False)


if __name__ == "__main__":
    main()
