"""A search that is told to end, as a spot machine is some seconds before it goes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from journals import events, reports

from mtl_core.training.checkpoint import read_checkpoint
from search.record import StudyRecord

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 400
LONG = [
    sys.executable, "-m", "search.run", "--space", str(ROOT / "spaces" / "sanity.yaml"),
    "--set", "trials=2", "--set", "confirm.seeds=0", "--set", "search.early_stopping=null",
    "--set", "data.builtin.rows=400", "--set", "training.epochs=4",
    "--set", "search.affinity.epochs=0",
]  # fmt: skip


JUMPING = """
import threading, time
from pathlib import Path
import sys
journal = Path(sys.argv[sys.argv.index("--out") + 1], "sanity", "journal.jsonl")
real, shift = time.time, [0.0]
time.time = lambda: real() + shift[0]

def jump():
    for count, seconds in ((1, -86400.0), (4, 172800.0)):
        while not journal.exists() or journal.read_text().count('"reported"') < count:
            time.sleep(0.05)
        shift[0] = seconds

threading.Thread(target=jump, daemon=True).start()
from search.run import main
main()
"""


def begin(out: Path) -> "subprocess.Popen[str]":
    command = [*LONG, "--out", str(out)]
    return subprocess.Popen(command, cwd=ROOT, text=True, stderr=subprocess.PIPE)


def wait_for(study: Path, kind: str, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + SECONDS
    while not any(event["event"] == kind for event in events(study)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_at_sigterm_trials_are_saved_and_go_on_from_there(
    tmp_path: Path,
) -> None:
    study = tmp_path / "sanity"
    process = begin(tmp_path)
    wait_for(study, "reported", process)

    began = time.time()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=SECONDS)

    assert process.returncode == 130, said
    assert "Traceback" not in said
    saved = list((study / "lanes").glob("*.safetensors"))
    assert saved
    at = {path.stem: read_checkpoint(path).about["last"] for path in saved}
    assert all(last is not None for last in at.values())
    latest = max(path.stat().st_mtime for path in saved)
    print(f"saved {latest - began:.2f} s after SIGTERM, ended {time.time() - began:.1f} s after it")
    told = reports(study)

    again = begin(tmp_path)
    _, said = again.communicate(timeout=SECONDS)

    assert again.returncode == 0, said
    assert reports(study)[: len(told)] == told
    notes = [e["text"] for e in events(study) if e["event"] == "noted"]
    for trial, last in at.items():  # whose last epoch the journal may not have been told of
        assert last["epoch"] >= max((epoch for of, epoch, _ in told if of == trial), default=0)
        assert any(f"{trial} goes on after epoch {last['epoch']}" in note for note in notes)


def test_at_the_second_ctrl_c_the_program_ends_at_once_and_the_journal_is_whole(
    tmp_path: Path,
) -> None:
    study = tmp_path / "sanity"
    process = begin(tmp_path)
    wait_for(study, "started", process)

    deadline = time.monotonic() + SECONDS
    while process.poll() is None:
        assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)  # what comes at once is one signal; and half a second later all may be over
    process.communicate()

    assert process.returncode == 130
    assert not StudyRecord.load(study / "journal.jsonl").ended_reason


@pytest.mark.fault
def test_a_clock_that_jumps_changes_neither_the_time_left_nor_what_is_read_back(
    tmp_path: Path,
) -> None:
    """The driver's clock is set back by a day, then two days ahead, in the middle."""
    command = [sys.executable, "-c", JUMPING, "run", *LONG[3:], "--minutes", "5"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)], cwd=ROOT, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    study = tmp_path / "sanity"
    times = [event["time"] for event in events(study)]
    assert max(times) - min(times) > 86400
    record = StudyRecord.load(study / "journal.jsonl")
    assert (record.ended_reason, len(record.finished())) == ("trials", 2)
