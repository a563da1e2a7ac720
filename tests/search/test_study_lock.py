"""Who is at work in a study's folder: refused, taken over, told."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mtl_core.errors import ConfigError
from search.study_lock import LOCK, STALE_SECONDS, StudyLock


def leave_lock(folder: Path, *, untouched: float = 0.0, **changed: object) -> None:
    mine = {"host": socket.gethostname(), "pid": os.getpid(), "began": time.time() - 3600}
    (folder / LOCK).write_text(json.dumps(mine | changed), encoding="utf-8")
    then = time.time() - untouched
    os.utime(folder / LOCK, (then, then))


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_lock_is_there_while_it_is_held_and_gone_afterwards(tmp_path: Path) -> None:
    with StudyLock(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()

    assert not list(tmp_path.iterdir())


def test_a_second_driver_is_told_who_is_at_work_and_since_when(tmp_path: Path) -> None:
    leave_lock(tmp_path)
    before = (tmp_path / LOCK).read_bytes()

    with pytest.raises(ConfigError, match=rf"process {os.getpid()} on .*, at work for 60 min"):
        StudyLock(tmp_path).__enter__()

    assert (tmp_path / LOCK).read_bytes() == before


def test_a_driver_on_another_host_holds_the_lock_as_long_as_it_touches_it(tmp_path: Path) -> None:
    leave_lock(tmp_path, host="far.example", pid=1, untouched=STALE_SECONDS / 2)
    with pytest.raises(ConfigError, match=r"process 1 on far\.example"):
        StudyLock(tmp_path).check()

    leave_lock(tmp_path, host="far.example", pid=1, untouched=STALE_SECONDS + 1)
    said: list[str] = []
    with StudyLock(tmp_path, said.append):
        assert "cut off (process 1 on far.example" in said[0]


@pytest.mark.parametrize("how", ["dead", "its number is another's"])
def test_the_lock_of_a_dead_driver_is_taken_over_and_said(tmp_path: Path, how: str) -> None:
    if how == "dead":
        leave_lock(tmp_path, pid=dead_process())
    else:
        leave_lock(tmp_path, born=1)
    said: list[str] = []

    with StudyLock(tmp_path, said.append):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()

    assert len(said) == 1


def test_a_lock_that_was_cut_short_holds_nobody_off(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text('{"host": "x', encoding="utf-8")

    with StudyLock(tmp_path):
        pass
