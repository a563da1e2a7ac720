"""Whether a long search grows: memory by kind of process, processes, open files, files on disk.

    python tests/benchmarks/test_soak.py [--minutes 120] [--rows 12]

runs a real search on the built-in corpus, small trials one after the other by random proposals, and
looks at it every few seconds. The table's rows are means over equal parts of the time. What the
driver knows of each trial stays, so its memory grows with them; nothing else may. Linux only.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from footprint import MIB, footprint, with_descendants
from machine import describe, make_console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 5.0  # between two looks
SETTLING = 0.1  # part of the time that does not count
KINDS = {"engine": "ray::engine", "clients": "ray::searchtrial"}  # by class, or by name
SPACE = """
name: soak
data: {builtin: {n_tasks: 4, rows: 200, dev_rows: 20, test_rows: 20}}
encoder: {n_layers: 1, d_model: 16, d_word: 16, n_heads: 2, d_ff: 32}
search: {trials: 1000000, sampler: random, workers: 2, lanes: 2, confirm: {seeds: 0}}
sharing: {structure: {choice: [stack_pooling, stack_cls, layerwise_implicit]}}
training: {learning_rate: {float: [1.0e-4, 1.0e-2], log: true}, epochs: 5}
"""


@dataclass(frozen=True)
class Look:
    """What was there at one moment.

    Args:
        memory: Private bytes by kind of process; "driver" and "ray" beside `KINDS`.
        open_files: Of the driver.
        files: In the study's folder and in Ray's.
    """

    seconds: float
    trials: int
    memory: dict[str, int]
    processes: int
    open_files: int
    files: int


def soak(folder: Path, minutes: float) -> list[Look]:
    """Run the search for so long and return what was seen of it."""
    (folder / "soak.yaml").write_text(SPACE, encoding="utf-8")
    study = folder / "results" / "soak"
    command = [sys.executable, "-m", "search.run", "--space", str(folder / "soak.yaml")]
    command += ["--minutes", str(minutes), "--out", str(study.parent)]
    began = time.monotonic()
    looks = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as driver:
        while driver.poll() is None:
            look = _look(driver.pid, study, time.monotonic() - began)
            is_searching = look.trials and look.memory["engine"] and look.memory["clients"]
            looks += [look] if is_searching else []
            time.sleep(SECONDS)
    assert driver.returncode == 0
    return looks


def _look(driver: int, study: Path, seconds: float) -> Look:
    memory = dict.fromkeys(("driver", *KINDS, "ray"), 0)
    processes = 0
    for pid, line in with_descendants(driver):
        kind = next((kind for kind, part in KINDS.items() if part in line.lower()), "ray")
        try:
            memory["driver" if pid == driver else kind] += footprint(pid).private
        except (OSError, KeyError):  # it has just ended
            continue
        processes += 1
    journal = study / "journal.jsonl"
    lines = journal.read_bytes() if journal.is_file() else b""
    return Look(
        seconds,
        lines.count(b'"event":"finished"'),
        memory,
        processes,
        len(os.listdir(f"/proc/{driver}/fd")),
        sum(1 for _ in _files(study)),
    )


def _files(study: Path) -> Iterator[str]:
    sessions = [path for path in Path("/tmp/ray").glob("session_latest/") if path.is_dir()]
    for top in (study, *sessions):
        for _, _, names in os.walk(top):
            yield from names


def growth(looks: list[Look]) -> dict[str, float]:
    """Return what was added from the second tenth of the time to the last, in bytes or counts."""
    settled = [look for look in looks if look.seconds >= SETTLING * looks[-1].seconds]
    part = max(1, len(settled) // 10)
    first, last = settled[:part], settled[-part:]
    found = {
        kind: _mean(look.memory[kind] for look in last) - _mean(look.memory[kind] for look in first)
        for kind in looks[0].memory
    }
    for name in ("processes", "open_files", "files", "trials"):
        found[name] = _mean(getattr(k, name) for k in last) - _mean(getattr(k, name) for k in first)
    return found


def _mean(values: Iterator[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


@pytest.mark.slow
@pytest.mark.cluster
def test_a_search_of_small_trials_does_not_grow(tmp_path: Path) -> None:
    added = growth(soak(tmp_path, 5))

    print(added)
    assert added["engine"] + added["clients"] + added["ray"] < 50 * MIB
    assert added["driver"] < 50_000 * added["trials"]
    assert added["processes"] < 1
    assert added["open_files"] < 5


def show(looks: list[Look], rows: int) -> None:
    """Print the curve as a table, and what grew."""
    table = Table("minutes", "trials", *looks[0].memory, "processes", "open files", "files on disk")
    for row in range(rows):
        of_row = looks[row * len(looks) // rows : (row + 1) * len(looks) // rows]
        if of_row:
            memory = [
                _mean(look.memory[kind] for look in of_row) / MIB for kind in of_row[0].memory
            ]
            table.add_row(
                f"{_mean(look.seconds for look in of_row) / 60:.0f}",
                f"{of_row[-1].trials}",
                *(f"{megabytes:.0f}" for megabytes in memory),
                *(
                    f"{_mean(getattr(look, name) for look in of_row):.1f}"
                    for name in ("processes", "open_files", "files")
                ),
            )
    console = make_console()
    console.print(describe())
    console.print("private memory in MiB", table)
    added = growth(looks)
    per_trial = added["driver"] / max(1.0, added["trials"]) / 1000
    console.print(f"added after the first tenth: {per_trial:.1f} KB of the driver a trial; {added}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--rows", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        show(soak(Path(folder), options.minutes), options.rows)


if __name__ == "__main__":
    main()
