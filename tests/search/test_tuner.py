"""Whole searches with Ray: warm workers, crashes, lost workers, interruptions, killed drivers.

One cluster serves all tests of this file but the last, which start their own in other processes.
"""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.tune.experiment import Trial

from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.readers import read_corpus
from mtl_core.errors import ConfigError
from search.cluster import joined
from search.journal import read_events
from search.progress import Progress
from search.record import FORMAT, StudyRecord
from search.space import Space, load_space
from search.trial import SearchTrial
from search.tuner import run_trials
from search.workplace import EngineFiles

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
SANITY = ROOT / "spaces" / "sanity.yaml"


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with joined(None, load_space(SANITY).search):
        yield


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> EncodedCorpus:
    space = load_space(SANITY)
    return encode(read_corpus(space.data), space.data, tmp_path_factory.mktemp("cache"))


def open_study(folder: Path, *overrides: str) -> tuple[Space, StudyRecord, Path]:
    # One worker where not two are what is tried: each is two processes that import for seconds.
    space = load_space(SANITY, ["confirm.seeds=0", "search.workers=1", *overrides])
    record = StudyRecord.open(folder / "journal.jsonl")
    if record.header:
        record.append("continued")
    else:
        tasks = read_corpus(space.data).names
        record.append("study", format=FORMAT, name=space.name, seed=1, tasks=list(tasks))
    return space, record, folder


def count(folder: Path) -> Counter[str]:
    return Counter(event["event"] for event in read_events(folder / "journal.jsonl"))


class Counting(Progress):
    """Counts the trials that Tune holds on to at the end of each."""

    held = 0

    def trial_ended(self, trial: str) -> None:  # noqa: ARG002
        gc.collect()
        self.held = sum(type(found) is Trial for found in gc.get_objects())


@pytest.mark.usefixtures("cluster")
def test_a_search_runs_its_trials_and_keeps_the_weights_of_the_leaders(
    tmp_path: Path, encoded: EncodedCorpus
) -> None:
    space, record, folder = open_study(tmp_path, "search.workers=null")
    counting = Counting()

    reason = run_trials(space, EngineFiles(encoded.path), record, folder, progress=counting)
    again = run_trials(space, EngineFiles(encoded.path), record, folder)

    assert (reason, again) == ("trials", "trials")
    assert 0 < counting.held <= 3  # of six
    assert [trial.attempt for trial in record.trials.values()] == [1] * 6
    assert len({worker for trial in record.trials.values() for worker in trial.workers}) <= 2
    assert {trial.state for trial in record.trials.values()} <= {"finished", "stopped"}
    leading = {f"{x.trial}-e{x.epoch}.safetensors" for x in record.leaders().values()}
    assert {path.name for path in (folder / "models").iterdir()} == leading
    assert StudyRecord.load(folder / "journal.jsonl").leaders() == record.leaders()


@pytest.mark.usefixtures("cluster")
def test_a_crashing_trial_is_recorded_and_the_search_goes_on(
    tmp_path: Path, encoded: EncodedCorpus
) -> None:
    class Crashing(SearchTrial):
        def _train_epoch(self) -> dict[str, Any]:
            if self._proposal["trial"] == "t0002":
                raise ValueError("a bad\nconfiguration")
            return super()._train_epoch()

    space, record, folder = open_study(tmp_path, "search.trials=4")
    run_trials(space, EngineFiles(encoded.path), record, folder, trainable=Crashing)

    failure = record.trials["t0002"].failure
    assert failure is not None
    assert (failure.kind, failure.reason) == ("error", "ValueError: a bad configuration")
    assert "_train_epoch" in (failure.traceback or "")
    assert len(record.ended()) == 4
    assert count(folder)["failed"] == 1
    assert count(folder)["retried"] == 0


@pytest.mark.usefixtures("cluster")
def test_a_trial_whose_worker_is_killed_starts_again_until_its_retries_are_used_up(
    tmp_path: Path, encoded: EncodedCorpus, capfd: pytest.CaptureFixture[str]
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()

    class Dying(SearchTrial):
        """t0001 loses its first worker after an epoch; t0002 loses every one."""

        def _train_epoch(self) -> dict[str, Any]:
            trial, first = self._proposal["trial"], marks / "first"
            epoch = super()._train_epoch()
            again = epoch["epoch"] == 1 or first.exists()
            if trial == "t0002" or (trial == "t0001" and not again):
                if trial == "t0001":
                    first.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return epoch

    space, record, folder = open_study(
        tmp_path, "search.trials=3", "search.retries=1", "search.early_stopping=null"
    )
    run_trials(space, EngineFiles(encoded.path), record, folder, trainable=Dying)

    again, lost = record.trials["t0001"], record.trials["t0002"]
    assert (again.state, again.attempt, len(again.retries)) == ("finished", 2, 1)
    assert [report.epoch for report in again.reports] == [1, 2]
    assert (lost.state, lost.attempt) == ("failed", 2)
    assert lost.failure is not None
    assert lost.failure.kind == "lost"
    assert record.trials["t0003"].state == "finished"
    assert capfd.readouterr() == ("", "")  # all that a user sees is ours


def make_slow(seconds: float) -> type[SearchTrial]:
    class Slow(SearchTrial):
        def _train_epoch(self) -> dict[str, Any]:
            epoch = super()._train_epoch()
            if epoch["epoch"] > 1:  # the first is told at once
                time.sleep(seconds)
            return epoch

    return Slow


@pytest.mark.usefixtures("cluster")
def test_an_interrupted_search_keeps_trials_in_training_unfinished_and_continues(
    tmp_path: Path, encoded: EncodedCorpus
) -> None:
    space, record, folder = open_study(tmp_path, "search.trials=3", "search.early_stopping=null")

    def interrupt_in_training() -> None:
        # t0001's: the report that comes first may be another trial's, before t0001 has started.
        while not ("t0001" in record.trials and record.trials["t0001"].reports):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_in_training, daemon=True).start()
    reason = run_trials(space, EngineFiles(encoded.path), record, folder, trainable=make_slow(30.0))

    assert reason == "interrupted"
    assert record.ended_reason == "interrupted"
    unfinished = [trial.id for trial in record.unfinished()]
    assert "t0001" in unfinished
    record.close()

    space, record, folder = open_study(tmp_path, "search.trials=3", "search.early_stopping=null")
    assert run_trials(space, EngineFiles(encoded.path), record, folder) == "trials"
    assert [trial.state for trial in record.trials.values()] == ["finished"] * 3
    assert record.trials["t0001"].attempt == 2


@pytest.mark.usefixtures("cluster")
def test_the_time_limit_counts_what_earlier_runs_have_used(
    tmp_path: Path, encoded: EncodedCorpus
) -> None:
    space, record, folder = open_study(tmp_path, "search.minutes=0.05")

    reason = run_trials(space, EngineFiles(encoded.path), record, folder, trainable=make_slow(30.0))
    assert reason == "minutes"
    used = record.seconds_used
    record.close()

    space, record, folder = open_study(tmp_path, "search.minutes=0.05")
    started = time.monotonic()
    assert run_trials(space, EngineFiles(encoded.path), record, folder) == "minutes"
    assert time.monotonic() - started < 1
    assert used >= 3


@pytest.mark.usefixtures("cluster")
def test_where_the_time_is_up_before_a_first_score_nothing_is_confirmed(
    tmp_path: Path, encoded: EncodedCorpus
) -> None:
    space, record, folder = open_study(tmp_path, "search.minutes=0.05", "confirm.seeds=1")

    reason = run_trials(space, EngineFiles(encoded.path), record, folder, trainable=make_slow(30.0))

    assert (reason, record.confirmation.ended) == ("minutes", None)
    assert record.seconds_confirming == 0
    assert not {"searched", "shortlisted"} & set(count(folder))


DRIVER = """
import sys
from pathlib import Path
sys.path.insert(0, "tests/search")
from test_tuner import EngineFiles, encode, open_study, read_corpus, run_trials

study, cache = map(Path, sys.argv[1:])
space, record, folder = open_study(study, "search.trials=8")
encoded = encode(read_corpus(space.data), space.data, cache)
print(run_trials(space, EngineFiles(encoded.path), record, folder))
"""


def test_a_search_whose_driver_was_killed_goes_on_where_it_was(
    tmp_path: Path, encoded: EncodedCorpus
) -> None:
    study = tmp_path
    command = [sys.executable, "-W", "error", "-c", DRIVER, str(study), str(encoded.path.parent)]
    killed = subprocess.Popen(command, cwd=ROOT)
    deadline = time.monotonic() + 240
    while not (study / "journal.jsonl").exists() or count(study)["reported"] < 5:
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    before = StudyRecord.load(study / "journal.jsonl")
    ended = {trial.id: trial.reports for trial in before.ended()}

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "trials\n", "")
    record = StudyRecord.load(study / "journal.jsonl")
    assert len(record.ended()) == 8
    for trial, reports in ended.items():
        assert record.trials[trial].attempt == 1
        assert json.dumps([r.average for r in record.trials[trial].reports]) == json.dumps(
            [r.average for r in reports]
        )


@pytest.mark.usefixtures("cluster")
def test_a_disk_that_fills_up_ends_the_search_with_its_message(
    tmp_path: Path, encoded: EncodedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    space, record, folder = open_study(tmp_path)
    assert record.journal is not None
    append = record.journal.append

    def fill_up(event: dict[str, Any]) -> dict[str, Any]:
        if event["event"] == "reported":
            assert record.journal is not None
            record.journal.failure = ConfigError("journal.jsonl: No space left on device")
            raise record.journal.failure
        return append(event)

    monkeypatch.setattr(record.journal, "append", fill_up)

    with pytest.raises(ConfigError, match="No space left on device"):
        run_trials(space, EngineFiles(encoded.path), record, folder)
    assert not (folder / ".tune").exists()
