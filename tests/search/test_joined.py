"""Clusters that `ray start` started, joined: with a token, without one, by a submitted job."""

import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from machines import free_port

from search.study import open_study

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
RAY = Path(sys.executable).with_name("ray")
SECONDS = 240
SEARCH = (sys.executable, "-m", "search.run", "--space", "spaces/sanity.yaml")
SMALL = (
    "search.trials=6", "search.confirm.seeds=0", "search.affinity.epochs=0", "search.workers=1",
)  # fmt: skip


@dataclass(frozen=True)
class Head:
    """A cluster of one machine.

    Args:
        environment: What a driver needs to join it.
    """

    address: str
    dashboard: str
    environment: dict[str, str]


@contextmanager
def head(**environment: str) -> Iterator[Head]:
    """Start Ray's head as `ray start` does, and end it."""
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # sockets have short names alone
    port, dashboard = free_port(), free_port()
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH")}
    mine = clean | {"HOME": folder, "RAY_USAGE_STATS_ENABLED": "0"} | environment
    command = [
        str(RAY), "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}",
        "--num-cpus=2", f"--dashboard-port={dashboard}", f"--temp-dir={folder}/ray",
        "--object-store-memory=100000000", f"--dashboard-agent-listen-port={free_port()}",
    ]  # fmt: skip
    log = Path(folder, "log")
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=mine, stdout=file, stderr=file, cwd=folder)
    try:
        began = time.monotonic()
        while not (answers(port) and answers(dashboard)):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < began + SECONDS, log.read_text()
            time.sleep(0.2)
        yield Head(f"127.0.0.1:{port}", f"http://127.0.0.1:{dashboard}", mine)
    finally:
        process.terminate()
        process.wait(SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def machine_without(hidden: Path, cluster: Head) -> Iterator[None]:
    """Add a machine to a cluster that sees an empty disk in place of a folder of this one."""
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    start = [
        str(RAY), "start", "--block", f"--address={cluster.address}", "--num-cpus=1",
        "--node-ip-address=127.0.0.1", f"--dashboard-agent-listen-port={free_port()}",
        "--object-store-memory=100000000",
    ]  # fmt: skip
    script = f"mount -t tmpfs none {shlex.quote(str(hidden))} && exec {shlex.join(start)}"
    log = Path(folder, "log")
    with log.open("wb") as file:
        process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", script], stdout=file, stderr=file,
            env=cluster.environment,
        )  # fmt: skip
    try:
        began = time.monotonic()
        while (
            "To terminate" not in log.read_text() and "Ray runtime started" not in log.read_text()
        ):
            if process.poll() is not None:
                pytest.skip(f"no file system of its own for a process: {log.read_text()[:200]}")
            assert time.monotonic() < began + SECONDS, log.read_text()
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def search(out: Path, cluster: Head, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [
        sys.executable,
        "-m",
        "search.run",
        "--space",
        "spaces/sanity.yaml",
        "--out",
        str(out),
    ]
    settings = [part for setting in SMALL for part in ("--set", setting)]
    return subprocess.run(
        [*command, "--address", cluster.address, *settings, *options],
        cwd=ROOT, env=cluster.environment, capture_output=True, text=True, timeout=SECONDS,
        check=False,
    )  # fmt: skip


def test_a_cluster_without_a_token_is_joined_only_if_that_is_said(tmp_path: Path) -> None:
    with head(RAY_AUTH_MODE="disabled") as cluster:
        refused = search(tmp_path, cluster)
        assert refused.returncode == 2
        assert "asks for no token" in refused.stderr
        assert "--insecure" in refused.stderr
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
        with_token = replace(cluster, environment=cluster.environment | token)
        assert "asks for no token" in search(tmp_path, with_token).stderr
        assert not list(tmp_path.iterdir())

        out = tmp_path / "submitted"
        submitted = submit(cluster, out)
        assert submitted.returncode == 0, submitted.stdout + submitted.stderr
        assert len(open_study(out / "sanity").record.ended()) == 6


def test_a_machine_that_does_not_see_the_results_is_named(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with head(RAY_AUTH_MODE="disabled") as cluster, machine_without(out, cluster):
        refused = search(out, cluster, "--insecure")

    assert refused.returncode == 2
    assert f"is not seen by {socket.gethostname()} (" in refused.stderr
    assert "disk that all machines of the cluster share" in " ".join(refused.stderr.split())
    assert not list(out.iterdir())


def test_a_machine_that_does_not_see_the_data_is_sent_them(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    environment = {"RAY_AUTH_MODE": "disabled", "BRANCHPOINT_CACHE": str(cache)}
    with head(**environment) as cluster, machine_without(cache, cluster):
        all_of_them = ("--lanes", "1", "--set", "search.workers=null")
        joined = search(tmp_path / "out", cluster, "--insecure", *all_of_them)

    assert joined.returncode == 0, joined.stderr
    trials = open_study(tmp_path / "out" / "sanity").record.trials.values()
    assert {trial.state for trial in trials} <= {"finished", "stopped"}
    assert {worker for trial in trials for worker in trial.workers} == {
        "engine1", "engine2", "engine3",
    }  # fmt: skip


def submit(cluster: Head, out: Path) -> "subprocess.CompletedProcess[str]":
    """Submit the search as a job, as the README has it; return when it has ended."""
    excluded = '{"working_dir": ".", "excludes": ["results", "tests", ".git"]}'
    command = [
        str(RAY), "job", "submit", "--address", cluster.dashboard, "--runtime-env-json", excluded,
        "--", *SEARCH, "--out", str(out), "--address", "auto", "--insecure",
    ]  # fmt: skip
    settings = [part for setting in SMALL for part in ("--set", setting)]
    return subprocess.run(
        [*command, *settings], cwd=ROOT, env=cluster.environment, capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip


def test_a_cluster_with_a_token_is_joined_by_who_has_it(tmp_path: Path) -> None:
    token = "0123456789abcdef" * 4
    with head(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token) as cluster:
        joined = search(tmp_path, cluster)
        assert joined.returncode == 0, joined.stderr
        assert len(open_study(tmp_path / "sanity").record.ended()) == 6

        without = {k: v for k, v in cluster.environment.items() if not k.startswith("RAY_AUTH")}
        stranger = search(tmp_path / "no", Head(cluster.address, cluster.dashboard, without))
        assert stranger.returncode == 2
        assert "cannot join the Ray cluster" in stranger.stderr
        assert not (tmp_path / "no").exists()
