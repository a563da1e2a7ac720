"""The journal survives what befalls files: cut lines, full disks, two drivers at once."""

import errno
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtl_core.errors import ConfigError
from search import journal as journal_module
from search.journal import Journal, read_events


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_events_are_read_back_in_order_with_their_time(path: Path) -> None:
    with Journal(path, clock=iter([1.5, 2.5]).__next__) as journal:
        journal.append({"event": "study", "name": "a"})
        journal.append({"event": "ended", "reason": "trials"})

        assert journal.read() == [
            {"event": "study", "time": 1.5, "name": "a"},
            {"event": "ended", "time": 2.5, "reason": "trials"},
        ]


def test_append_returns_what_a_reader_will_see(path: Path) -> None:
    with Journal(path) as journal:
        event = journal.append({"event": "x", "sizes": (1, np.int64(2)), "score": np.float32(0.5)})

    assert event["sizes"] == [1, 2]
    assert event["score"] == 0.5
    assert read_events(path) == [event]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_a_number_that_json_cannot_say_is_null(path: Path, number: float) -> None:
    with Journal(path) as journal:
        journal.append({"event": "reported", "scores": {"books": number, "dvd": 0.5}})

    assert b"NaN" not in path.read_bytes()
    assert b"Infinity" not in path.read_bytes()
    assert read_events(path)[0]["scores"] == {"books": None, "dvd": 0.5}


def test_every_cut_of_the_last_line_drops_that_line_alone(path: Path) -> None:
    with Journal(path) as journal:
        journal.append({"event": "study", "name": "Büro\n"})
        first = path.stat().st_size
        journal.append({"event": "ended", "reason": "trials"})
    whole = path.read_bytes()
    for length in range(first, len(whole)):
        path.write_bytes(whole[:length])

        with Journal(path) as journal:
            events = journal.read()
            journal.append({"event": "continued"})

            assert [event["event"] for event in events] == ["study"]
            assert journal.dropped_lines == int(length > first)
        assert [event["event"] for event in read_events(path)] == ["study", "continued"]


def test_garbage_in_place_of_the_last_line_is_dropped(path: Path) -> None:
    with Journal(path) as journal:
        journal.append({"event": "study"})
    with path.open("ab") as file:
        file.write(b"\0" * 100 + b"\n")

    with Journal(path) as journal:
        assert journal.dropped_lines == 1
        assert len(journal.read()) == 1


@pytest.mark.parametrize(
    "line", [b"{", b"", b"[1]", b'{"event":1,"time":2}', b'{"event":"x"}', b"\xff"]
)
def test_a_broken_line_before_the_last_is_refused_with_its_number(path: Path, line: bytes) -> None:
    good = b'{"event":"study","time":1,"format":1}\n'
    path.write_bytes(good + line + b"\n" + good)

    with pytest.raises(ConfigError, match=r"journal\.jsonl:2: not a line of a journal"):
        Journal(path)
    assert path.read_bytes() == good + line + b"\n" + good


def test_any_flipped_bit_is_found_and_the_file_left_as_it_is(path: Path) -> None:
    with Journal(path) as journal:
        journal.append({"event": "study", "format": 2, "name": "small"})
        journal.append({"event": "proposed", "trial": "t0001", "values": {"lr": 0.5}})
        journal.append({"event": "ended"})
    whole = path.read_bytes()
    for place in range(len(whole) - 1):  # without its last newline a line counts as half written
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)

            with pytest.raises(ConfigError, match=r"journal\.jsonl:\d"):
                Journal(path)
            assert path.read_bytes() == damaged


def test_a_journal_of_a_version_without_checksums_is_read_and_gone_on_with(path: Path) -> None:
    path.write_text('{"event":"study","time":1,"format":1}\n', encoding="utf-8")

    with Journal(path) as journal:
        journal.append({"event": "continued"})

    assert [event["event"] for event in read_events(path)] == ["study", "continued"]


def test_a_reader_beside_the_writer_leaves_a_half_written_line_alone(path: Path) -> None:
    with Journal(path) as journal:
        journal.append({"event": "study"})
    with path.open("ab") as file:
        file.write(b'{"event":"en')
    size = path.stat().st_size

    assert [event["event"] for event in read_events(path)] == ["study"]
    assert path.stat().st_size == size


def test_two_journals_on_one_file_are_refused(path: Path) -> None:
    with Journal(path), pytest.raises(ConfigError, match="another process is writing this study"):
        Journal(path)

    Journal(path).close()


def test_the_lock_dies_with_its_process(path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from search.journal import Journal\n"
        "Journal(Path(sys.argv[1])).append({'event': 'study'}); os.kill(os.getpid(), 9)"
    )
    root = Path(journal_module.__file__).parents[1]
    subprocess.run([sys.executable, "-c", script, str(path)], cwd=root, check=False)

    with Journal(path) as journal:
        assert len(journal.read()) == 1


def test_a_full_disk_leaves_no_half_line_and_is_said_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def write_half(file: int, data: bytes) -> int:
        if len(data) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[: len(data) // 2])

    with Journal(path) as journal:
        journal.append({"event": "study"})
        before = path.read_bytes()
        monkeypatch.setattr(journal_module.os, "write", write_half)

        with pytest.raises(ConfigError, match=r"journal\.jsonl: .*No space left on device"):
            journal.append({"event": "reported", "losses": list(range(100))})
        monkeypatch.undo()

        assert path.read_bytes() == before
        assert journal.failure is not None
        with pytest.raises(ConfigError, match="No space left"):
            journal.append({"event": "ended", "reason": "trials"})


def test_a_failed_fsync_counts_as_not_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(journal_module, "AGAIN_SECONDS", 0.0)
    with Journal(path) as journal:
        monkeypatch.setattr(journal_module.os, "fsync", fail)
        with pytest.raises(ConfigError, match="Input/output error"):
            journal.append({"event": "study"})
        monkeypatch.undo()

    assert read_events(path) == []


@pytest.mark.parametrize("call", ["write", "fsync", "ftruncate"])
def test_storage_that_comes_back_has_each_event_once(
    call: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = dict.fromkeys(("write", "fsync", "ftruncate"), 0)

    def away(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def called(*args: Any) -> Any:
            times[name] += 1
            if name in (call, "fsync") and times[name] <= 30:
                raise OSError(errno.EIO, "Input/output error")
            return real(*args)

        return called

    monkeypatch.setattr(journal_module, "AGAIN_SECONDS", 0.0)
    with Journal(path) as journal:
        journal.append({"event": "study"})
        with monkeypatch.context() as broken:
            for name in times:
                broken.setattr(journal_module.os, name, away(name))
            journal.append({"event": "noted", "text": "once"})

        assert [event["event"] for event in journal.read()] == ["study", "noted"]
    assert times[call] > 30
    assert len(path.read_bytes().splitlines()) == 2


def test_a_folder_in_place_of_the_journal_is_named(path: Path) -> None:
    path.mkdir()
    with pytest.raises(ConfigError, match=r"journal\.jsonl: cannot open the journal"):
        Journal(path)
    with pytest.raises(ConfigError, match=r"journal\.jsonl: cannot read the journal"):
        read_events(path)


def test_each_event_is_one_line_of_plain_json(path: Path) -> None:
    with Journal(path) as journal:
        journal.append({"event": "failed", "traceback": "a\nb\u2028c"})

    lines = path.read_bytes().splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["traceback"] == "a\nb\u2028c"
