"""A search over several machines that loses an engine, a client and a machine, and gains one.

The machines are raylets of one computer; what is killed is killed by SIGKILL.
"""

import os
import signal
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from journals import events
from machines import free_port, machines
from ray.cluster_utils import Cluster

from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.readers import read_corpus
from mtl_core.training.device_memory import memory_of
from search import engine_pool
from search.engines import EngineActor
from search.gauges import _DESCRIPTIONS
from search.journal import Event
from search.record import FORMAT, StudyRecord
from search.report.account import retries_in_words
from search.space import Space, load_space
from search.trial import SearchTrial
from search.tuner import run_trials
from search.workplace import EngineFiles

pytestmark = pytest.mark.cluster

SANITY = Path(__file__).resolve().parents[2] / "spaces" / "sanity.yaml"
SECONDS = 240
N_TRIALS = 20
EPOCHS = 16
EATEN_BYTES = 9 << 30  # twice what all other processes, this search's too, may take meanwhile


class Telling(SearchTrial):
    """Notes which process its client is."""

    def _train_epoch(self) -> dict[str, Any]:
        result = super()._train_epoch()
        return result | {"notes": [*result.get("notes", ()), f"client {os.getpid()}"]}


@pytest.fixture
def encoded(tmp_path: Path) -> EncodedCorpus:
    space = load_space(SANITY)
    return encode(read_corpus(space.data), space.data, tmp_path / "cache")


def open_study(folder: Path, *overrides: str) -> tuple[Space, StudyRecord]:
    plain = ["search.sampler=random", "search.early_stopping=null", "search.confirm.seeds=0"]
    space = load_space(SANITY, [*plain, *overrides])
    folder.mkdir(exist_ok=True)
    record = StudyRecord.open(folder / "journal.jsonl")
    tasks = list(read_corpus(space.data).names)
    record.append("study", format=FORMAT, name=space.name, seed=1, tasks=tasks)
    return space, record


class Study:
    """A search under way in a thread, and what its journal says."""

    def __init__(self, folder: Path, encoded: EncodedCorpus, *overrides: str) -> None:
        self.space, self.record = open_study(folder, *overrides)
        self.folder = folder
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(encoded,), daemon=True)
        self._thread.start()

    def _run(self, encoded: EncodedCorpus) -> None:
        try:
            run_trials(
                self.space, EngineFiles(encoded.path), self.record, self.folder, trainable=Telling
            )
        except Exception as error:
            self.error = error
            raise

    def events(self, kind: str) -> list[Event]:
        return [event for event in events(self.folder) if event["event"] == kind]

    def notes(self) -> list[str]:
        return [event["text"] for event in self.events("noted")]

    def n_up(self) -> int:
        """Return how many engines have come up after the first ones."""
        return sum(note.endswith(" is up") for note in self.notes())

    def wait(self, condition: Callable[[], object]) -> float:
        """Return the seconds until the condition held."""
        began = time.monotonic()
        while not condition():
            assert self._thread.is_alive(), "the search ended first"
            assert time.monotonic() < began + SECONDS
            time.sleep(0.05)
        return time.monotonic() - began

    def wait_for_reports(self, more: int) -> None:
        before = len(self.events("reported"))
        self.wait(lambda: len(self.events("reported")) >= before + more)

    def join(self) -> None:
        self._thread.join(SECONDS)
        assert self.error is None
        assert not self._thread.is_alive()


def repeated_epochs(events: list[Event]) -> list[int]:
    """Return, of each attempt after the first, how many reported epochs were trained again.

    What an attempt tells first is what it goes on from.
    """
    last: dict[str, int] = {}
    again: set[str] = set()
    found = []
    for event in events:
        name = event.get("trial")
        if event["event"] == "retried":
            again.add(name)
        elif event["event"] == "reported":
            if name in again:
                again.discard(name)
                found.append(max(0, last.get(name, 0) - event["epoch"]))
            last[name] = max(last.get(name, 0), event["epoch"])
    return found


def test_all_trials_finish_whatever_is_killed_and_a_machine_that_joins_is_used(
    encoded: EncodedCorpus, tmp_path: Path
) -> None:
    with machines(num_cpus=0, metrics_export_port=free_port()) as cluster:
        study, seconds = kill_everything(cluster, encoded, tmp_path / "study")

    trials = study.record.trials.values()
    assert [trial.state for trial in trials] == ["finished"] * N_TRIALS
    assert all([r.epoch for r in t.reports] == list(range(1, EPOCHS + 1)) for t in trials)
    kinds = Counter(retry.kind for trial in trials for retry in trial.retries)
    repeated = repeated_epochs(events(study.folder))
    print(f"retries {dict(kinds)}, epochs trained again {repeated}, filled in {seconds:.1f} s")
    assert kinds["worker"] >= 2
    assert kinds["node"] >= 1
    assert max(repeated) <= 1
    assert "lost node" in retries_in_words(study.record)
    assert not list((study.folder / "lanes").glob("*"))


def metrics(port: int) -> str:
    try:
        with urllib.request.urlopen(
            f"http://{ray.util.get_node_ip_address()}:{port}/metrics"
        ) as found:
            text: str = found.read().decode()
            return text
    except OSError:
        return ""


def kill_everything(cluster: Cluster, encoded: EncodedCorpus, folder: Path) -> tuple[Study, float]:
    """Return a search that lost what it could, and the seconds until it used a new machine."""
    cluster.add_node(num_cpus=1)
    second = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False)
    study = Study(
        folder, encoded, f"search.trials={N_TRIALS}", "search.lanes=2",
        f"training.epochs={EPOCHS}", "training.learning_rate={float: [1e-3, 2e-3]}",
    )  # fmt: skip
    name = study.folder.name

    study.wait_for_reports(6)
    port = cluster.head_node._ray_params.metrics_export_port
    study.wait(lambda: "branchpoint_best_mean_score{" in metrics(port))
    found = {line.partition("{")[0] for line in metrics(port).splitlines() if name in line}
    assert {one.removeprefix("ray_") for one in found} >= set(_DESCRIPTIONS)
    pid = ray.get(ray.get_actor(f"{name} engine1").state.remote())["pid"]
    os.kill(pid, signal.SIGKILL)
    study.wait(lambda: "engine3 is up" in study.notes())
    study.wait_for_reports(4)
    client = next(note for note in reversed(study.notes()) if "client" in note).split()[-1]
    os.kill(int(client), signal.SIGKILL)
    study.wait_for_reports(4)
    cluster.remove_node(second, allow_graceful=False)  # which kills its raylet
    study.wait_for_reports(4)
    up = study.n_up()
    cluster.add_node(num_cpus=1)
    seconds = study.wait(lambda: study.n_up() > up)
    study.join()
    return study, seconds


@pytest.mark.fault
def test_an_engine_that_the_memory_monitor_kills_is_replaced_and_the_study_ends(
    encoded: EncodedCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    available = memory_of(torch.device("cpu"))
    if available < 1.5 * EATEN_BYTES:
        pytest.skip(
            f"{available >> 30} GiB of memory are free, too few to use up {EATEN_BYTES >> 30}"
        )
    eaten = tmp_path / "eaten"

    class Eating(EngineActor):
        async def open(self, lane: str, proposal: dict[str, Any]) -> None:
            if proposal["trial"] == "t0002" and not eaten.exists():
                eaten.touch()
                self.held = [bytes(1 << 20) + b"x" for _ in range(EATEN_BYTES >> 20)]
            await super().open(lane, proposal)

    monkeypatch.setattr(engine_pool, "EngineActor", Eating)
    limit = (total - available + EATEN_BYTES / 2) / total
    settings = {"memory_usage_threshold": limit, "memory_monitor_refresh_ms": 50}
    with machines(num_cpus=2, _system_config=settings) as cluster:
        ray.init(address=cluster.address, log_to_driver=False)
        study = Study(
            tmp_path / "study", encoded, "search.trials=6", "search.lanes=1", "training.epochs=6"
        )
        study.join()

    trials = study.record.trials.values()
    assert [trial.state for trial in trials] == ["finished"] * 6
    assert "memory" in {retry.kind for trial in trials for retry in trial.retries}
    assert "out of memory" in retries_in_words(study.record)
