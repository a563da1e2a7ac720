"""Two studies of one name on one cluster at the same time: neither touches what is the other's."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ray
from journals import reports
from machines import machines
from ray.util.state import list_actors, list_tasks

from search.record import StudyRecord

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120
SEARCH = [
    sys.executable, "-m", "search.run", "--space", str(ROOT / "spaces" / "sanity.yaml"),
    "--insecure", "--set", "confirm.seeds=0", "--set", "workers=1", "--set", "lanes=1",
    "--set", "search.affinity.epochs=0",
]  # fmt: skip


def begin(address: str, out: Path, *more: str) -> "subprocess.Popen[str]":
    command = [*SEARCH, "--address", address, "--out", str(out), *more]
    return subprocess.Popen(command, cwd=ROOT, text=True, stderr=subprocess.PIPE)


@pytest.mark.fault
def test_studies_of_one_name_side_by_side_are_what_they_are_alone_and_one_outlives_the_other(
    tmp_path: Path,
) -> None:
    with machines(num_cpus=3, include_dashboard=True) as cluster:
        both = [begin(cluster.address, tmp_path / name) for name in ("one", "other")]
        long = ["--set", "epochs=99", "--set", "data.builtin.rows=900"]
        killed = begin(cluster.address, tmp_path / "killed", *long)
        deadline = time.monotonic() + SECONDS
        while not reports(tmp_path / "killed" / "sanity"):
            assert killed.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.kill(killed.pid, signal.SIGKILL)
        killed.communicate()
        for driver in both:
            _, said = driver.communicate(timeout=SECONDS)
            assert driver.returncode == 0, said
        ray.init(address=cluster.address, log_to_driver=False)
        while engines := list_actors(
            address=cluster.address,  # else of whatever cluster was started last here
            filters=[("state", "=", "ALIVE")],
            raise_on_missing_output=False,
        ):
            assert time.monotonic() < deadline, engines
            time.sleep(0.5)
        shown = {task.name for task in list_tasks(address=cluster.address, limit=1000)}

    assert any(re.fullmatch(r"engine1: t0001 at \d+\.\d, epoch 2", name) for name in shown), shown
    records = [
        StudyRecord.load(tmp_path / name / "sanity" / "journal.jsonl") for name in ("one", "other")
    ]
    for record in records:
        assert len(record.ended()) == 6
        assert not any(trial.retries for trial in record.trials.values())
        assert {worker for t in record.trials.values() for worker in t.workers} == {"engine1"}
    assert reports(tmp_path / "one" / "sanity") == reports(tmp_path / "other" / "sanity")
