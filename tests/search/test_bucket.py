"""Studies in a store that is a folder: the copies of two machines, and what they hand on."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mtl_core.errors import ConfigError
from search import bucket as bucket_module
from search.bucket import (
    copy_of,
    fetch,
    fetch_study,
    files_in,
    hand_on,
    local_study,
    remove,
)
from search.bucket_sync import handed_on
from search.place import study_folder
from search.study_lock import StudyLock


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make this process another machine: one with an empty cache, or one from before."""

    def become(name: str) -> None:
        monkeypatch.setenv("BRANCHPOINT_CACHE", str(tmp_path / "cache" / name))
        bucket_module._of_copies.cache_clear()

    become("first")
    yield become
    bucket_module._of_copies.cache_clear()


@pytest.fixture
def address(tmp_path: Path) -> str:
    """A store that is a folder, which pyarrow takes for one like any other."""
    (tmp_path / "store").mkdir()
    return f"file://{tmp_path}/store"


def begin(address: str, text: str = "one\n") -> Path:
    study = copy_of(address) / "study"
    study.mkdir(exist_ok=True)
    (study / "journal.jsonl").write_text(text)
    return study


def say(text: str) -> None:
    raise AssertionError(text)


def test_what_the_driver_writes_and_deletes_is_handed_on_and_found_by_another_machine(
    machine: Any, address: str, tmp_path: Path
) -> None:
    study = begin(address)
    (study / "best" / "average").mkdir(parents=True)
    (study / "best" / "average" / "config.json").write_text("{}")
    (study / "old.md").write_text("old")
    (study / ".half-written").write_text("half")
    with handed_on(study, say):
        assert (tmp_path / "store" / "study" / "old.md").exists()
        (study / "old.md").unlink()
        (study / "journal.jsonl").write_text("one\ntwo\n")

    machine("second")
    there = local_study(f"{address}/study")

    assert there != study
    found = {path.relative_to(there).as_posix(): path for path in there.rglob("*.*")}
    assert found.keys() == {"journal.jsonl", "best/average/config.json"}
    assert found["journal.jsonl"].read_text() == "one\ntwo\n"
    assert local_study(f"{address}/study/best/average").joinpath("config.json").is_file()


def test_files_of_engines_are_there_for_other_machines_and_gone_for_all(
    machine: Any, address: str
) -> None:
    study = begin(address)
    mine = study / "lanes" / "t0001.safetensors"
    mine.parent.mkdir()
    mine.write_bytes(b"after epoch 1")
    hand_on(study, mine)
    machine("second")
    there = begin(address)
    theirs = there / "lanes" / "t0001.safetensors"

    assert files_in(there, "lanes") == [theirs]
    fetch(there, theirs)
    assert theirs.read_bytes() == b"after epoch 1"
    time.sleep(0.01)
    theirs.write_bytes(b"after epoch 2")
    hand_on(there, theirs)
    machine("first")
    fetch(study, mine)
    assert mine.read_bytes() == b"after epoch 2"

    remove(study, mine)
    machine("second")
    fetch(there, theirs)
    assert not theirs.exists()
    assert files_in(there, "lanes") == []


def test_the_longer_journal_is_gone_on_with_and_another_story_is_refused(
    machine: Any, address: str
) -> None:
    study = begin(address, "one\n")
    with handed_on(study, say):
        pass
    machine("second")
    there = begin(address, "one\ntwo\n")
    fetch_study(there)
    assert (there / "journal.jsonl").read_text() == "one\ntwo\n"
    (there / "journal.jsonl").write_text("")
    fetch_study(there)
    assert (there / "journal.jsonl").read_text() == "one\n"

    (there / "journal.jsonl").write_text("other\n")
    with pytest.raises(ConfigError, match="another way than this machine's copy"):
        fetch_study(there)


def test_the_lock_of_a_driver_elsewhere_is_seen(machine: Any, address: str) -> None:
    study = begin(address)
    with StudyLock(study), handed_on(study, say):
        lock = json.loads((study / "lock.json").read_text())
        (study / "lock.json").write_text(json.dumps(lock | {"host": "elsewhere"}))
        bucket = bucket_module.bucket_of(study)
        assert bucket is not None
        bucket.push(study / "lock.json")
        machine("second")
        there = begin(address)
        fetch_study(there)

        with pytest.raises(ConfigError, match=r"another driver is writing this study .*elsewhere"):
            StudyLock(there).check()
    machine("first")


@pytest.mark.usefixtures("machine")
def test_of_two_drivers_that_begin_at_once_on_two_machines_one_goes_on(address: str) -> None:
    study = begin(address)
    bucket = bucket_module.bucket_of(study)
    assert bucket is not None
    lock = StudyLock(study)
    other = {"host": "elsewhere", "pid": 1, "began": time.time(), "born": None}

    def overtake() -> None:
        while not bucket.files(study):
            time.sleep(0.01)
        copy_of(address).joinpath("study", "other.json").write_text(json.dumps(other))
        bucket._write(bucket._there(lock.path), study / "other.json")

    thread = threading.Thread(target=overtake)
    thread.start()
    with pytest.raises(ConfigError, match=r"another driver .*process 1 on elsewhere"):
        lock.__enter__()
    thread.join()

    assert json.loads(bucket.content(lock.path)) == other


@pytest.mark.usefixtures("machine")
def test_a_lock_is_gone_from_the_store_when_it_is_released(address: str) -> None:
    study = begin(address)
    bucket = bucket_module.bucket_of(study)
    assert bucket is not None
    with StudyLock(study):
        assert set(bucket.files(study)) == {study / "lock.json"}

    assert not bucket.files(study)


def test_addresses_with_a_login_and_unknown_ones_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"s3://\*\*\*@bucket/out; the address alone"):
        study_folder("s3://key:secret@bucket/out", "study")
    with pytest.raises(ConfigError, match=r"--out gopher://bucket/out: the store cannot be used"):
        fetch_study(study_folder("gopher://bucket/out", "study"))
