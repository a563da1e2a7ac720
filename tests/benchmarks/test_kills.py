"""`kill -9` of the driver at random moments, then the same command, until the study has ended.

    python tests/benchmarks/test_kills.py [--kills 50] [--seed 0]

Studies of one worker, whose proposals follow from the journal alone. After each kill the journal is
read: every trial that had ended must still have ended as it did. When a study has ended, it is held
against one that nobody disturbed: the same proposals, results, rungs, runs that confirm; and no
trial began again after its end. As many studies are run as it takes for so many kills.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from machine import describe, make_console
from rich.table import Table
from search_run import ROOT

from search.journal import JOURNAL, read_events
from search.record import StudyRecord
from search.scheduler import Asha
from search.space import load_space

SPACE = ROOT / "spaces" / "sanity.yaml"
SETTINGS = (
    "search.workers=1", "search.lanes=1", "search.trials=10", "search.startup_trials=3",
    "search.confirm.seeds=1", "search.confirm.max_seeds=1", "search.affinity.epochs=0",
    "training.epochs=6",
)  # fmt: skip
LATEST = 14.0  # seconds after the start, at which a driver is killed
SECONDS = 300  # that a driver may take in all


@dataclass
class Outcome:
    """How often a driver was killed, and what did not come out as without that."""

    kills: int = 0
    studies: int = 0
    half_lines: int = 0
    lost: int = 0
    repeated: int = 0
    different: int = 0

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.repeated or self.different)


def run(outcome: Outcome, *, kills: int, seed: int, folder: Path) -> Outcome:
    """Kill drivers until there were so many kills."""
    moments = random.Random(seed)
    wanted = finish(folder / "undisturbed")
    while outcome.kills < kills:
        place = folder / f"study{outcome.studies}"
        while outcome.kills < kills:
            if not kill_one(place, moments.uniform(0, LATEST), outcome):
                break
        outcome.studies += 1
        outcome.different += finish(place) != wanted
        outcome.repeated += repeated(place)
    return outcome


def finish(place: Path) -> dict[str, Any]:
    """Run the study to its end; return all that must not depend on kills."""
    with start(place) as driver:
        assert driver.wait(SECONDS) == 0
    record = StudyRecord.load(journal_of(place))
    stopping = load_space(SPACE).search.stopping
    rungs = Asha.from_record(stopping, record).rungs if stopping else {}
    return {
        "trials": [
            (t.id, t.values, t.seed, t.state, [(r.epoch, r.loss, r.rows) for r in t.reports])
            for t in record.trials.values()
        ],
        "rungs": {epoch: list(rung.items()) for epoch, rung in rungs.items()},
        "runs": {run.id: (run.seed, run.epoch, run.dev) for run in record.confirmed},
    }


def kill_one(place: Path, moment: float, outcome: Outcome) -> bool:
    """Start the driver and kill it at that moment; return whether it still ran then."""
    before = ended(place)
    with start(place) as driver:
        try:
            driver.wait(moment)
        except subprocess.TimeoutExpired:
            driver.send_signal(signal.SIGKILL)
        else:
            return False
    outcome.kills += 1
    if journal_of(place).is_file():
        outcome.half_lines += not journal_of(place).read_bytes().endswith(b"\n")
        after = ended(place)
        outcome.lost += any(after.get(trial) != state for trial, state in before.items())
    return True


def start(place: Path) -> "subprocess.Popen[bytes]":
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    command = [sys.executable, "-m", "search.run", "--space", str(SPACE), "--out", str(place)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([*command, *settings], cwd=ROOT, **quiet)  # type: ignore[call-overload]


def ended(place: Path) -> dict[str, str]:
    """Return the states of the trials that have ended."""
    path = journal_of(place)
    if not path.is_file() or not path.read_bytes().count(b"\n"):
        return {}
    return {trial.id: trial.state for trial in StudyRecord.load(path).ended()}


def repeated(place: Path) -> int:
    """Return how many trials were started after they had ended."""
    over: set[str] = set()
    again: set[str] = set()
    for event in read_events(journal_of(place)):
        if event["event"] in ("finished", "stopped", "failed"):
            over.add(event["trial"])
        elif event["event"] == "started" and event["trial"] in over:
            again.add(event["trial"])
    return len(again)


def journal_of(place: Path) -> Path:
    return place / "sanity" / JOURNAL


def report(outcome: Outcome, seconds: float) -> Table:
    table = Table(title=f"{outcome.kills} kills of the driver in {seconds / 60:.0f} minutes")
    for column in ("studies", "half lines", "trials lost", "begun again", "different in the end"):
        table.add_column(column, justify="right")
    found = (outcome.studies, outcome.half_lines, outcome.lost, outcome.repeated, outcome.different)
    table.add_row(*map(str, found))
    return table


@pytest.mark.slow
def test_fifty_kills_lose_nothing(tmp_path: Path) -> None:
    assert run(Outcome(), kills=50, seed=0, folder=tmp_path).is_clean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    console, began = make_console(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(Outcome(), kills=options.kills, seed=options.seed, folder=Path(folder))
    console.print(report(outcome, time.monotonic() - began))
    console.print(describe(), highlight=False)
    raise SystemExit(0 if outcome.is_clean else 1)


if __name__ == "__main__":
    main()
