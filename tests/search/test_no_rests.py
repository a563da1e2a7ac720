"""However a search ends, no process of it goes on: engines and clients die with their driver."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from search.record import StudyRecord

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are read in /proc"),
]

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 400  # after which a test that hangs is given up


@pytest.mark.parametrize(
    ("number", "agents"),
    [
        (signal.SIGINT, True),
        (signal.SIGKILL, False),
        pytest.param(signal.SIGKILL, True, marks=pytest.mark.fault),  # a minute more
    ],
)
def test_no_process_of_a_search_is_left(number: int, agents: bool, tmp_path: Path) -> None:
    endless = ["training.epochs=100000", "search.early_stopping=null", "search.lanes=2"]
    settings = [word for one in endless for word in ("--set", one)]
    command = [sys.executable, "-m", "search.run", "--space", "spaces/sanity.yaml"]
    driver = subprocess.Popen(
        [*command, *settings, "--out", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "BRANCHPOINT_CACHE": str(tmp_path / "cache")},
    )
    journal = tmp_path / "sanity" / "journal.jsonl"
    wait_until(lambda: count_reports(journal) > 3)
    processes = {pid for pid in descendants(driver.pid) if agents or not is_agent(pid)}
    assert len(processes) >= 5  # Ray's own, engines and clients

    os.kill(driver.pid, number)

    assert driver.wait(SECONDS) in (130, -signal.SIGKILL)
    wait_until(lambda: not any(map(is_running, processes)))
    assert StudyRecord.load(journal).unfinished()


def count_reports(journal: Path) -> int:
    if not journal.exists():
        return 0
    return sum(len(trial.reports) for trial in StudyRecord.load(journal).trials.values())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def descendants(pid: int) -> set[int]:
    """Return the processes that this one, and those below it, have started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        if fields := read(stat):
            parents[int(stat.parent.name)] = int(fields[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def is_agent(process: int) -> bool:
    """Whether it is one of Ray's two agents.

    They end by themselves too, but only after a minute in which they try to tell the cluster's
    head, which has died with the driver, that they do (Ray 2.60).
    """
    try:
        command = Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return command.startswith((b"ray::DashboardAgent", b"ray::RuntimeEnvAgent"))


def is_running(process: int) -> bool:
    fields = read(Path(f"/proc/{process}/stat"))
    return bool(fields) and fields[0] != "Z"


def read(stat: Path) -> list[str]:
    """Return what the system says of a process, after its name; nothing where it is gone."""
    try:
        return stat.read_text(encoding="utf-8").rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
