"""Whole searches over engines with lanes: independence, families, lost engines, memory, no rests.

One cluster serves all tests of this file.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.tune import Trainable

from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.readers import read_corpus
from search import engine_pool
from search.cluster import joined
from search.engines import EngineActor, Workplace, build_engine
from search.journal import read_events
from search.record import FORMAT, StudyRecord
from search.space import Space, load_space
from search.trial import SearchTrial
from search.tuner import run_trials
from search.workplace import EngineFiles

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
SANITY = ROOT / "spaces" / "sanity.yaml"
CLIENT_MEGABYTES = 130


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with joined(None, load_space(SANITY).search):
        yield


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> EncodedCorpus:
    space = load_space(SANITY)
    return encode(read_corpus(space.data), space.data, tmp_path_factory.mktemp("cache"))


def open_study(folder: Path, *overrides: str) -> tuple[Space, StudyRecord, Path]:
    plain = ["search.sampler=random", "search.early_stopping=null", "search.confirm.seeds=0"]
    space = load_space(SANITY, [*plain, *overrides])
    folder.mkdir(exist_ok=True)
    record = StudyRecord.open(folder / "journal.jsonl")
    if record.header:
        record.append("continued")
    else:
        tasks = read_corpus(space.data).names
        record.append("study", format=FORMAT, name=space.name, seed=1, tasks=list(tasks))
    return space, record, folder


def search(folder: Path, encoded: EncodedCorpus, *overrides: str, **more: Any) -> StudyRecord:
    space, record, folder = open_study(folder, *overrides)
    assert run_trials(space, EngineFiles(encoded.path), record, folder, **more) == "trials"
    record.close()
    return record


def test_an_engine_whose_gpu_pytorch_cannot_use_says_that_it_trains_on_the_cpu(
    tmp_path: Path, encoded: EncodedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    place = Workplace(encoded=str(encoded.path), folder=str(tmp_path), tasks=encoded.names)

    assert build_engine(place).notes == []
    (note,) = build_engine(replace(place, gpu=True)).notes
    assert note == "PyTorch finds no GPU that it can use here: it trains on the CPU"


@pytest.mark.usefixtures("cluster")
def test_a_trial_scores_the_same_however_many_lanes_there_are(
    tmp_path: Path, encoded: EncodedCorpus
) -> None:
    alone = search(tmp_path / "alone", encoded, "search.trials=8", "search.workers=1")
    beside = search(tmp_path / "beside", encoded, "search.trials=8", "search.lanes=4")

    assert {trial.workers[0] for trial in alone.trials.values()} == {"engine1"}
    assert {trial.workers[0] for trial in beside.trials.values()} == {"engine1", "engine2"}
    for name, trial in alone.trials.items():
        other = beside.trials[name]
        assert (other.values, other.seed) == (trial.values, trial.seed)
        for ours, theirs in zip(trial.reports, other.reports, strict=True):
            assert theirs.loss == pytest.approx(ours.loss, rel=1e-4)
            assert theirs.average == pytest.approx(ours.average, rel=1e-4)


@pytest.mark.usefixtures("cluster")
def test_one_worker_is_the_same_search_each_time(tmp_path: Path, encoded: EncodedCorpus) -> None:
    overrides = ("search.trials=4", "search.workers=1", "search.sampler=tpe")
    first, second = (search(tmp_path / name, encoded, *overrides) for name in ("a", "b"))

    for one, two in zip(first.trials.values(), second.trials.values(), strict=True):
        assert (one.values, one.seed) == (two.values, two.seed)
        assert [r.losses for r in one.reports] == [r.losses for r in two.reports]


@pytest.mark.usefixtures("cluster")
def test_trials_of_two_families_are_searched_in_one_study(
    tmp_path: Path, encoded: EncodedCorpus
) -> None:
    space = "encoder.d_model={choice: [16, 32]}"
    record = search(tmp_path, encoded, "search.trials=8", "search.lanes=3", space, "points=[]")

    widths = {trial.config["encoder"]["d_model"] for trial in record.trials.values()}
    assert widths == {16, 32}
    assert [trial.state for trial in record.trials.values()] == ["finished"] * 8


@pytest.mark.usefixtures("cluster")
def test_all_trials_finish_although_an_engine_is_killed(
    tmp_path: Path, encoded: EncodedCorpus
) -> None:
    space, record, folder = open_study(
        tmp_path, "search.trials=8", "search.lanes=3", "training.epochs=6"
    )
    pids = []

    def kill_one() -> None:
        while len([trial for trial in list(record.trials.values()) if trial.reports]) < 4:
            time.sleep(0.02)
        pids.append(ray.get(ray.get_actor(f"{folder.name} engine1").state.remote())["pid"])
        os.kill(pids[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    run_trials(space, EngineFiles(encoded.path), record, folder)
    killer.join()

    trials = record.trials.values()
    assert [trial.state for trial in trials] == ["finished"] * 8
    again = [trial for trial in trials if trial.attempt > 1]
    assert 1 <= len(again) <= 3
    assert all(trial.workers[0] == "engine1" for trial in again)
    assert all([r.epoch for r in trial.reports] == [1, 2, 3, 4, 5, 6] for trial in trials)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


@pytest.mark.usefixtures("cluster")
def test_a_stopped_trial_frees_its_lane(tmp_path: Path, encoded: EncodedCorpus) -> None:
    class Watching(SearchTrial):
        """Notes, at the end of its trial, how many lanes its engine has; no more than two."""

        def _train_epoch(self) -> dict[str, Any]:
            result = super()._train_epoch()
            result["notes"] = [f"{ray.get(self._engine.state.remote())['lanes']} lanes"]
            return result

    record = search(
        tmp_path,
        encoded,
        "search.trials=12",
        "search.lanes=2",
        "search.workers=2",
        "training.epochs=4",
        "search.early_stopping={grace_period_epochs: 1, reduction_factor: 2}",
        trainable=Watching,
    )

    states = [trial.state for trial in record.trials.values()]
    assert "stopped" in states
    assert len(record.ended()) == 12
    notes = [e["text"] for e in read_events(tmp_path / "journal.jsonl") if e["event"] == "noted"]
    seen = [int(note.split()[1]) for note in notes if note.endswith(" lanes")]
    assert max(seen) <= 2


@pytest.mark.usefixtures("cluster")
def test_a_continued_study_keeps_the_lanes_that_were_measured(
    tmp_path: Path, encoded: EncodedCorpus
) -> None:
    search(tmp_path, encoded, "search.trials=6")
    measured = [e for e in read_events(tmp_path / "journal.jsonl") if e["event"] == "calibrated"]

    record = search(tmp_path, encoded, "search.trials=8")

    events = [e for e in read_events(tmp_path / "journal.jsonl") if e["event"] == "calibrated"]
    assert len(measured) == 1
    assert events == measured
    assert record.lanes == measured[0]["lanes"]
    assert measured[0]["table"]


@pytest.mark.usefixtures("cluster")
def test_clients_are_kept_however_short_the_trials_are(
    tmp_path: Path, encoded: EncodedCorpus
) -> None:
    class Nothing(Trainable):
        def reset_config(self, new_config: dict[str, Any]) -> bool:  # noqa: ARG002
            return True

        def step(self) -> dict[str, Any]:
            return {
                "epoch": 1, "average": 0.5, "scores": {}, "loss": 0.7, "losses": {}, "done": True,
                "tokens_per_second": 1.0, "seconds": 0.0, "ended": "epochs",
                "notes": [f"client {os.getpid()}"],
            }  # fmt: skip

    search(tmp_path, encoded, "search.trials=12", "search.lanes=1", trainable=Nothing)

    notes = [e["text"] for e in read_events(tmp_path / "journal.jsonl") if e["event"] == "noted"]
    assert len(notes) == 12
    assert len({note.split()[-1] for note in notes}) <= 2


def private_megabytes() -> float:
    """What this process has that no other one shares."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux says it")
@pytest.mark.usefixtures("cluster")
def test_a_client_is_small_and_knows_no_torch(tmp_path: Path, encoded: EncodedCorpus) -> None:
    class Telling(SearchTrial):
        def _train_epoch(self) -> dict[str, Any]:
            result = super()._train_epoch()
            private = private_megabytes()
            result["notes"] = [f"{private:.0f} MB, torch {'torch' in sys.modules}"]
            return result

    search(tmp_path, encoded, "search.trials=4", "search.workers=1", trainable=Telling)

    notes = [e["text"] for e in read_events(tmp_path / "journal.jsonl") if e["event"] == "noted"]
    assert len(notes) == 8
    for note in notes:
        assert float(note.split()[1]) < CLIENT_MEGABYTES
        assert note.endswith("torch False")


@pytest.mark.usefixtures("cluster")
def test_a_trial_that_hangs_is_given_up_and_its_neighbours_go_on(
    tmp_path: Path, encoded: EncodedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(EngineActor):
        async def open(self, lane: str, proposal: dict[str, Any]) -> None:
            await super().open(lane, proposal)
            if proposal["trial"] == "t0003":
                self._loop.order(lambda: time.sleep(600))

    monkeypatch.setattr(engine_pool, "EngineActor", Hanging)

    record = search(
        tmp_path, encoded, "search.trials=6", "search.lanes=2", "search.hang_minutes=0.15",
        "training.epochs=6",
    )  # fmt: skip

    trials = record.trials
    assert {t.state for name, t in trials.items() if name != "t0003"} == {"finished"}
    failure = trials["t0003"].failure
    assert failure is not None
    assert failure.kind == "hang"
    reasons = [retry.reason for t in trials.values() for retry in t.retries if retry.kind == "hang"]
    assert any("time.sleep(600)" in reason for reason in reasons)
