"""Whole confirmations with Ray: fresh seeds, test once, failures, lost engines, cut off, no time.

One cluster serves all tests of this file but the one that kills a driver.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.readers import read_corpus
from search.cluster import joined
from search.engine_pool import EnginePool
from search.journal import read_events
from search.lanes import Place
from search.progress import Progress
from search.record import FORMAT, StudyRecord
from search.shortlist import make_shortlist
from search.space import Space, load_space
from search.tables import curves_table, trials_table
from search.tuner import run_trials
from search.workplace import EngineFiles

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
SANITY = ROOT / "spaces" / "sanity.yaml"
FEW = ("search.trials=3", "search.workers=1", "search.early_stopping=null")
TWICE = (*FEW, "confirm.seeds=2", "confirm.max_seeds=2")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with joined(None, load_space(SANITY).search):
        yield


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> EncodedCorpus:
    space = load_space(SANITY)
    return encode(read_corpus(space.data), space.data, tmp_path_factory.mktemp("cache"))


def open_study(folder: Path, *overrides: str) -> tuple[Space, StudyRecord]:
    space = load_space(SANITY, overrides)
    record = StudyRecord.open(folder / "journal.jsonl")
    if record.header:
        record.append("continued")
    else:
        tasks = read_corpus(space.data).names
        record.append("study", format=FORMAT, name=space.name, seed=1, tasks=list(tasks))
    return space, record


def count(folder: Path) -> Counter[str]:
    return Counter(event["event"] for event in read_events(folder / "journal.jsonl"))


@pytest.fixture(scope="module")
def searched(
    cluster: None,  # noqa: ARG001
    encoded: EncodedCorpus,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A study whose trials are done and of which nothing is confirmed."""
    folder = tmp_path_factory.mktemp("searched")
    space, record = open_study(folder, *FEW, "confirm.seeds=0")
    run_trials(space, EngineFiles(encoded.path), record, folder)
    record.close()
    return folder


@pytest.fixture
def study(searched: Path, tmp_path: Path) -> Path:
    """Such a study of its own for a test."""
    (tmp_path / "journal.jsonl").write_bytes((searched / "journal.jsonl").read_bytes())
    return tmp_path


def test_the_shortlist_is_trained_anew_and_tested_once(study: Path, encoded: EncodedCorpus) -> None:
    space, record = open_study(study, *TWICE)
    before = (trials_table(record), curves_table(record), record.leaders())

    reason = run_trials(space, EngineFiles(encoded.path), record, study)
    once = count(study)
    again = run_trials(space, EngineFiles(encoded.path), record, study)

    assert (reason, again, record.confirmation.ended) == ("trials", "trials", "done")
    listed = record.confirmation.shortlist
    assert {run.trial for run in record.confirmed} == set(listed)
    assert len(record.confirmed) == 2 * len(listed)
    assert count(study)["confirming"] == once["confirming"] == once["confirmed"]
    assert once["tested"] == 0
    assert len({run.seed for run in record.confirmed}) == len(record.confirmed)
    assert not {run.seed for run in record.confirmed} & {t.seed for t in record.trials.values()}
    assert (trials_table(record), curves_table(record), record.leaders()) == before
    replayed = StudyRecord.load(study / "journal.jsonl").confirmation
    assert replayed == record.confirmation


def test_weights_stay_of_the_best_run_of_each_configuration(
    study: Path, encoded: EncodedCorpus
) -> None:
    space, record = open_study(study, *TWICE)

    run_trials(space, EngineFiles(encoded.path), record, study)

    kept = {path.name for path in (study / "models").iterdir()}
    runs = [record.confirmation.of(trial) for trial in record.confirmation.shortlist]
    best = {max(mine, key=lambda run: run.dev_average).id for mine in runs}
    names = {name.partition("-")[0] for name in kept}
    assert best <= names <= {run.id for run in record.confirmed}


def test_a_run_that_fails_is_recorded_and_the_others_go_on(
    study: Path, encoded: EncodedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    space, record = open_study(study, *TWICE)
    make_shortlist(record)
    doomed = f"{next(iter(record.confirmation.shortlist))}c1"
    open_there = EnginePool.open

    def open_badly(pool: EnginePool, place: Any, proposal: dict[str, Any]) -> Any:
        bad = {**proposal, "config": {**proposal["config"], "encoder": {"n_layers": 0}}}
        return open_there(pool, place, bad if proposal["trial"] == doomed else proposal)

    monkeypatch.setattr(EnginePool, "open", open_badly)

    run_trials(space, EngineFiles(encoded.path), record, study)
    once = count(study)
    run_trials(space, EngineFiles(encoded.path), record, study)

    failed = record.confirmation.runs[doomed]
    assert failed.state == "failed"
    assert failed.failure is not None
    assert failed.failure.kind == "error"
    assert "n_layers" in (failed.failure.traceback or "")
    assert len(record.confirmed) == 2 * len(record.confirmation.shortlist) - 1
    assert record.confirmation.ended == "done"
    assert count(study)["confirming"] == once["confirming"]


def test_a_run_whose_engine_is_lost_begins_again_elsewhere_until_its_retries_are_used_up(
    study: Path, encoded: EncodedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    space, record = open_study(
        study, *TWICE, "search.workers=null", "search.lanes=1", "search.retries=1"
    )
    make_shortlist(record)
    trials = list(record.confirmation.shortlist)
    once, always = f"{trials[0]}c1", f"{trials[1]}c1"
    ask_there = EnginePool.epoch
    seen: Counter[str] = Counter()

    def ask_and_kill(pool: EnginePool, place: Place) -> Any:
        run = place.lane.partition(".")[0]
        seen[run] += 1
        answer = ask_there(pool, place)
        if run == always or (run == once and seen[run] == 1):
            ray.kill(pool._actors[place.engine], no_restart=False)
        return answer

    monkeypatch.setattr(EnginePool, "epoch", ask_and_kill)

    run_trials(space, EngineFiles(encoded.path), record, study)

    runs = record.confirmation.runs
    assert (runs[once].state, runs[once].attempt) == ("confirmed", 2)
    assert (runs[always].state, runs[always].attempt) == ("failed", 2)
    assert runs[always].failure is not None
    assert runs[always].failure.kind == "lost"
    assert record.confirmation.ended == "done"


def test_an_interrupted_confirmation_goes_on_with_what_is_left(
    study: Path, encoded: EncodedCorpus
) -> None:
    space, record = open_study(study, *TWICE)

    class Impatient(Progress):
        def run_ended(self, run: str) -> None:  # noqa: ARG002
            os.kill(os.getpid(), signal.SIGINT)

    reason = run_trials(space, EngineFiles(encoded.path), record, study, progress=Impatient())
    done = {run.id: run.found for run in record.confirmed}
    record.close()
    assert (reason, record.confirmation.ended) == ("interrupted", "interrupted")
    assert 1 <= len(done) < 2 * len(record.confirmation.shortlist)

    space, record = open_study(study, *TWICE)
    assert run_trials(space, EngineFiles(encoded.path), record, study) == "trials"
    assert record.confirmation.ended == "done"
    assert len(record.confirmed) == 2 * len(record.confirmation.shortlist)
    assert {name: record.confirmation.runs[name].found for name in done} == done
    assert count(study)["confirmed"] == len(record.confirmed)


def test_time_that_is_up_leaves_runs_and_begins_none_that_would_be_cut_off(
    study: Path, encoded: EncodedCorpus
) -> None:
    space, record = open_study(study, *TWICE, "confirm.minutes=0.0001")

    assert run_trials(space, EngineFiles(encoded.path), record, study) == "trials"
    assert record.confirmation.ended == "minutes"
    assert count(study)["confirming"] == 0
    began = time.monotonic()
    assert run_trials(space, EngineFiles(encoded.path), record, study) == "trials"

    assert time.monotonic() - began < 2  # Ray is not even started
    assert record.confirmation.ended == "minutes"


def test_new_trials_make_a_new_shortlist_and_keep_the_runs_there_are(
    study: Path, encoded: EncodedCorpus
) -> None:
    space, record = open_study(study, *TWICE)
    run_trials(space, EngineFiles(encoded.path), record, study)
    before = {run.id: run.found for run in record.confirmed}
    record.close()

    more = [name for name in TWICE if "trials" not in name]
    space, record = open_study(study, *more, "search.trials=4")
    run_trials(space, EngineFiles(encoded.path), record, study)

    assert len(record.trials) == 4
    assert count(study)["shortlisted"] == 2
    assert {name: record.confirmation.runs[name].found for name in before} == before
    assert count(study)["confirmed"] == len(record.confirmed)


DRIVER = """
import sys
from pathlib import Path
sys.path.insert(0, "tests/search")
from test_confirm import TWICE, EngineFiles, encode, open_study, read_corpus, run_trials

study, cache = map(Path, sys.argv[1:])
space, record = open_study(study, *TWICE)
encoded = encode(read_corpus(space.data), space.data, cache)
print(run_trials(space, EngineFiles(encoded.path), record, study))
"""


def test_a_confirmation_whose_driver_was_killed_trains_no_run_twice(
    study: Path, encoded: EncodedCorpus
) -> None:
    command = [sys.executable, "-W", "error", "-c", DRIVER, str(study), str(encoded.path.parent)]
    killed = subprocess.Popen(command, cwd=ROOT)
    deadline = time.monotonic() + 180
    while count(study)["confirmed"] < 2:
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    before = StudyRecord.load(study / "journal.jsonl")

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "trials\n", "")
    record = StudyRecord.load(study / "journal.jsonl")
    assert record.confirmation.ended == "done"
    assert len(record.confirmed) == 2 * len(record.confirmation.shortlist)
    for run in before.confirmed:
        assert record.confirmation.runs[run.id].found == run.found
    again = Counter(
        event["run"]
        for event in read_events(study / "journal.jsonl")
        if event["event"] == "confirmed"
    )
    assert set(again.values()) == {1}
