"""Studies in an object store: a real S3 server on loopback, machines with their own caches."""

import hashlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from machines import machines
from pyarrow.fs import FileSelector, FileSystem

from search.journal import read_events
from search.record import StudyRecord

ROOT = Path(__file__).resolve().parents[2]
SANITY = ROOT / "spaces" / "sanity.yaml"
SECONDS = 120
LOGIN = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "wonderful"}


@dataclass(frozen=True)
class Store:
    """A server that speaks S3, and what its clients need to know."""

    address: str
    environment: dict[str, str]

    def names(self, study: str) -> list[str]:
        store, root = FileSystem.from_uri(self.address)
        where = FileSelector(f"{root}/{study}", recursive=True, allow_not_found=True)
        return [
            one.path.removeprefix(f"{root}/{study}/")
            for one in store.get_file_info(where)
            if one.is_file
        ]

    def objects(self, study: str) -> dict[str, bytes]:
        store, root = FileSystem.from_uri(self.address)
        return {
            name: store.open_input_stream(f"{root}/{study}/{name}").read()
            for name in self.names(study)
        }


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    server_module = pytest.importorskip("moto.server", reason="moto is not installed")
    import boto3

    for key, value in LOGIN.items():
        monkeypatch.setenv(key, value)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    _, port = server.get_host_and_port()
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1")
    name = f"studies-{port}"  # all servers of a process have the same buckets
    client.create_bucket(Bucket=name)
    query = f"endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
    yield Store(f"s3://{name}/team?{query}", os.environ | LOGIN)
    server.stop()


def branchpoint(store: Store, cache: Path, *arguments: str, **more: Any) -> Any:
    program = "from search.run import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True,
        timeout=SECONDS, check=False, **more,
        env=store.environment | {"BRANCHPOINT_CACHE": str(cache), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.cluster
def test_a_study_in_s3_is_gone_on_with_reported_and_used_on_another_machine(
    s3: Store, tmp_path: Path
) -> None:
    run = ["run", "--space", str(SANITY), "--out", s3.address]
    run += ["--set", "confirm.seeds=0", "--set", "search.workers=1"]
    first = branchpoint(s3, tmp_path / "first", *run, "--trials", "3")
    assert first.returncode == 0, first.stderr
    assert f"report: {s3.address.replace('/team?', '/team/sanity/report.html?')}" in first.stdout
    before = s3.objects("sanity")
    assert {"journal.jsonl", "report.html", "best/average/model.safetensors"} <= before.keys()
    assert not [name for name in before if name.startswith("lanes/") or name == "lock.json"]
    for line in before["SHA256SUMS"].decode().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256(before[name]).hexdigest() == digest
    assert "wonderful" not in str(before["environment.json"])

    second = branchpoint(s3, tmp_path / "second", *run, "--trials", "6")

    assert second.returncode == 0, second.stderr
    after = s3.objects("sanity")
    assert after["journal.jsonl"].startswith(before["journal.jsonl"])
    copies = list((tmp_path / "second" / "buckets").glob("*/sanity/journal.jsonl"))
    record = StudyRecord.load(copies[0])
    assert len(record.ended()) == 6
    study = s3.address.replace("/team?", "/team/sanity?")
    reported = branchpoint(s3, tmp_path / "third", "report", study)
    assert reported.returncode == 0, reported.stderr
    assert s3.objects("sanity")["report.md"] == after["report.md"]
    task = record.tasks[0]
    model = s3.address.replace("/team?", "/team/sanity/best/average?")
    predicted = branchpoint(
        s3, tmp_path / "third", "predict", "--model", model, "--task", task, input="some words\n"
    )
    assert predicted.returncode == 0, predicted.stderr
    assert predicted.stdout.strip()


@pytest.mark.cluster
@pytest.mark.fault
def test_machines_that_share_a_store_alone_go_on_with_what_another_has_saved(
    s3: Store, tmp_path: Path
) -> None:
    """Each machine has its own cache; the engine that is killed has a successor on the other."""
    with machines(num_cpus=1, env_vars={"BRANCHPOINT_CACHE": str(tmp_path / "head")}) as cluster:
        cluster.add_node(num_cpus=1, env_vars={"BRANCHPOINT_CACHE": str(tmp_path / "other")})
        run = ["--space", str(SANITY), "--out", s3.address, "--address", cluster.address]
        run += ["--insecure", "--set", "search.early_stopping=null", "--set", "training.epochs=8"]
        run += ["--set", "data.builtin.rows=600", "--trials", "2", "--set", "confirm.seeds=0"]
        run += ["--set", "search.affinity.epochs=0"]
        command = [sys.executable, "-m", "search.run", *run]
        environment = s3.environment | {"BRANCHPOINT_CACHE": str(tmp_path / "driver")}
        with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE) as driver:
            deadline = time.monotonic() + SECONDS
            while sum(name.startswith("lanes/") for name in s3.names("sanity")) < 2:
                assert driver.poll() is None, driver.communicate()[1]
                assert time.monotonic() < deadline
                time.sleep(0.2)
            os.kill(engines_of(tmp_path)[0], signal.SIGKILL)
            _, said = driver.communicate(timeout=SECONDS)

    assert driver.returncode == 0, said
    (journal,) = (tmp_path / "driver" / "buckets").glob("*/sanity/journal.jsonl")
    record = StudyRecord.load(journal)
    assert len(record.finished()) == 2
    assert [event for event in read_events(journal) if event["event"] == "retried"]
    assert any("goes on after epoch" in note for note in record.notes)
    assert {"head", "other"} <= {
        path.parts[-5] for path in tmp_path.glob("*/buckets/*/sanity/models")
    }
    found = s3.objects("sanity")
    assert "best/average/model.safetensors" in found
    assert not [name for name in found if name.startswith("lanes/")]


def engines_of(caches: Path) -> list[int]:
    """Return the engines of machines that have their caches there, and of no other search."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_engine = (path / "cmdline").read_bytes().lower().startswith(b"ray::engine")
            is_ours = str(caches).encode() in (path / "environ").read_bytes()
            found += [int(path.name)] if is_engine and is_ours else []
    return found


@pytest.mark.cluster
def test_a_store_that_is_not_there_is_a_clear_message_and_nothing_is_written(
    tmp_path: Path,
) -> None:
    nowhere = "s3://studies/team?endpoint_override=127.0.0.1:9&scheme=http&region=us-east-1"
    store = Store(nowhere, os.environ | LOGIN)
    done = branchpoint(
        store, tmp_path, "run", "--space", str(SANITY), "--out", nowhere, "--trials", "1"
    )

    assert done.returncode == 2
    assert "the store cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
