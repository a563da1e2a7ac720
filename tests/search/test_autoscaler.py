"""A cluster without any machine that trains at first: a real autoscaler starts them as asked for.

Its machines are raylets of this computer, from the provider that Ray has for its own tests.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from search.record import StudyRecord

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
RAY = Path(sys.executable).with_name("ray")
SECONDS = 180
PORT = 6379  # of the head, as Ray's provider of such machines has it
ADDRESS = f"127.0.0.1:{PORT}"
SEARCH = [
    sys.executable, "-m", "search.run", "--space", str(ROOT / "spaces" / "sanity.yaml"),
    "--set", "workers=2", "--set", "lanes=1", "--set", "confirm.seeds=0",
]  # fmt: skip
AUTOSCALER = {
    "cluster_name": "fake", "max_workers": 2, "provider": {
        "type": "fake_multinode", "use_node_id_as_ip": True, "disable_node_updaters": True,
        "disable_launch_config_check": True,
    },
    "head_node_type": "ray.head.default", "upscaling_speed": 1.0, "idle_timeout_minutes": 0.1,
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "small": {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": 2},
    },
    "auth": {}, "docker": {}, "file_mounts": {}, "initialization_commands": [],
    "setup_commands": [], "head_setup_commands": [], "worker_setup_commands": [],
    "head_start_ray_commands": [], "worker_start_ray_commands": [], "cluster_synced_files": [],
    "file_mounts_sync_continuously": False, "rsync_exclude": [], "rsync_filter": [],
}  # fmt: skip
NODES = (
    "import sys; from ray._raylet import GcsClient; "
    "nodes = GcsClient(address=sys.argv[1]).get_all_node_info(timeout=10).values(); "
    "print(sum(node.state == 0 for node in nodes))"
)


@contextmanager
def autoscaled(folder: Path) -> Iterator[dict[str, str]]:
    """Start a head without CPUs, and an autoscaler; yield the environment of drivers.

    Ray's own `AutoscalingCluster` would first end every cluster of this computer.
    """
    config = folder / "autoscaler.json"
    config.write_text(json.dumps(AUTOSCALER))
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH")}
    mine = clean | {
        "RAY_AUTH_MODE": "disabled", "RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_USAGE_STATS_ENABLED": "0", "HOME": str(folder),
    }  # fmt: skip
    command = [
        str(RAY), "start", "--head", "--block", f"--autoscaling-config={config}", "--num-cpus=0",
        f"--port={PORT}", "--include-dashboard=false",
        f"--temp-dir={folder}/ray", "--object-store-memory=100000000",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=mine, stdout=log, stderr=log, cwd=folder)
    try:
        wait(lambda: n_machines(mine) == 1, folder / "log")
        yield mine
    finally:
        process.terminate()
        process.wait(SECONDS)


def n_machines(environment: dict[str, str]) -> int:
    asked = subprocess.run(
        [sys.executable, "-c", NODES, ADDRESS], env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    return int(asked.stdout or -1)


def wait(condition: Callable[[], bool], log: Path) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + SECONDS, log.read_text()[-3000:]
        time.sleep(0.5)


def test_machines_are_started_for_a_search_and_ended_after_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        if taken.connect_ex(("127.0.0.1", PORT)) == 0:
            pytest.skip(f"port {PORT} is taken")
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # sockets have short names alone
    try:
        with autoscaled(folder) as environment:
            done = subprocess.run(
                [*SEARCH, "--out", str(tmp_path), "--address", ADDRESS, "--insecure"],
                cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS,
                check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            trials = StudyRecord.load(tmp_path / "sanity" / "journal.jsonl").ended()
            assert len(trials) == 6
            assert len({worker for trial in trials for worker in trial.workers}) == 2
            wait(lambda: n_machines(environment) == 1, folder / "log")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
