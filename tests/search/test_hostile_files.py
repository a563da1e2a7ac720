"""Files that somebody planted: each is refused by name, and nothing is run or written elsewhere."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.pretrained_tokenizer import read_tokenizer
from mtl_core.data.readers import read_corpus
from mtl_core.data.vectors import read_vectors
from mtl_core.errors import ConfigError
from mtl_core.foreign import MOST_TOKENIZER_BYTES
from mtl_core.model.pretrained import describe
from mtl_core.training.checkpoint import read_checkpoint
from mtl_core.training.export import load
from search.best_models import export_folder
from search.journal import JOURNAL
from search.lane_file import LaneFile
from search.place import study_folder
from search.snapshots import snapshot_path
from search.space import load_space
from search.study import open_study

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {
    "HF_TOKEN": "hf_planted0123456789",
    "AWS_SECRET_ACCESS_KEY": "planted/aws/0123456789",
    "RAY_AUTH_TOKEN": "plantedray" * 4,
    "WANDB_API_KEY": "plantedwandb0123456789",
}


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.canary),))


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """What a hostile file would make if anything in it were run."""
    return tmp_path / "canary"


def plant(folder: Path, name: str, canary: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(pickle.dumps(Bomb(canary)))
    return path


def model_folder(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text('{"format": 1}', encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    return folder


def as_model(folder: Path, canary: Path) -> None:
    plant(model_folder(folder), "model.safetensors", canary)
    load(folder)


def as_pretrained(folder: Path, canary: Path) -> None:
    plant(model_folder(folder), "pytorch_model.bin", canary)
    plant(folder, "config.json", canary)
    describe(str(folder))


def as_checkpoint(folder: Path, canary: Path) -> None:
    read_checkpoint(plant(folder, "t0001.safetensors", canary))


def as_vectors(folder: Path, canary: Path) -> None:
    read_vectors(plant(folder, "vectors.txt", canary), {"a": 0})


def as_space(folder: Path, canary: Path) -> None:
    load_space(plant(folder, "space.yaml", canary))


def as_journal(folder: Path, canary: Path) -> None:
    plant(folder, JOURNAL, canary)
    with (folder / JOURNAL).open("ab") as file:
        file.write(b"\n\n")
    open_study(folder)


def as_data(folder: Path, canary: Path) -> None:
    plant(folder / "books", "train.parquet", canary)
    read_corpus(DataConfig(source=str(folder)))


@pytest.mark.parametrize(
    "read",
    [as_model, as_pretrained, as_checkpoint, as_vectors, as_space, as_journal, as_data],
)
def test_a_pickle_is_never_opened_whatever_it_is_called(
    read: Callable[[Path, Path], None], tmp_path: Path, canary: Path
) -> None:
    with pytest.raises(ConfigError) as raised:
        read(tmp_path / "planted", canary)

    assert str(tmp_path) in str(raised.value)
    assert not canary.exists()


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.mkdir [{canary}]",
        "name: !!python/object/new:os.mkdir [{canary}]",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nname: *c",
        "{" * 40 + "}" * 40,
        "x: " + "y" * (1 << 20),
    ],
)
def test_tags_aliases_depth_and_size_of_yaml_are_refused(
    text: str, tmp_path: Path, canary: Path
) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(text.replace("{canary}", str(canary)), encoding="utf-8")

    for read in (load_space, lambda path: read_corpus(DataConfig(source=str(path)))):
        with pytest.raises(ConfigError, match=r"space\.yaml"):
            read(path)
    assert not canary.exists()


def test_json_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    deep = "[" * 200_000
    folder = model_folder(tmp_path / "model")
    (folder / "config.json").write_text(deep, encoding="utf-8")
    (folder / "model.safetensors").touch()
    study = tmp_path / "study"
    study.mkdir()
    (study / JOURNAL).write_text(f"{deep}\n\n", encoding="utf-8")

    for read, path in (
        (load, folder),
        (lambda path: describe(str(path)), folder),
        (open_study, study),
    ):
        with pytest.raises(ConfigError, match=str(path)):
            read(path)


def test_a_tokenizer_of_two_gigabytes_is_not_read(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    with (folder / "tokenizer.json").open("wb") as file:
        file.truncate(2 << 30)  # takes no room on the disk
    (folder / "model.safetensors").touch()

    with pytest.raises(ConfigError, match=f"at most {MOST_TOKENIZER_BYTES:,} would be right"):
        read_tokenizer(DataConfig(tokenizer=str(folder)))


@pytest.mark.parametrize("name", ["best", "lanes", "models", JOURNAL])
def test_a_study_with_a_link_out_of_its_folder_is_refused(name: str, tmp_path: Path) -> None:
    study, elsewhere = tmp_path / "out" / "sanity", tmp_path / "elsewhere"
    study.mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "t0001-e1.safetensors").touch()
    target = elsewhere / "t0001-e1.safetensors" if name == JOURNAL else elsewhere
    (study / name).symlink_to(target)

    run = command(tmp_path / "out")

    assert run.returncode == 2
    assert f"{study / name}: leads out of its folder" in run.stderr
    assert [path.name for path in elsewhere.iterdir()] == ["t0001-e1.safetensors"]
    assert (elsewhere / "t0001-e1.safetensors").stat().st_size == 0


def test_a_model_with_a_link_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    (folder / "model.safetensors").symlink_to("/etc/hostname")

    with pytest.raises(ConfigError, match=r"model\.safetensors: leads out of its folder"):
        load(folder)


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "a/b", "..", ".hidden"])
def test_names_that_lead_elsewhere_are_refused_in_spaces_and_task_files(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "a.tsv").write_text("good\t1\nbad\t0\n" * 9, encoding="utf-8")
    tasks = [{"name": name, "files": {"train": "a.tsv"}, "columns": {"text": 0, "label": 1}}]
    (tmp_path / "tasks.yaml").write_text(json.dumps(tasks), encoding="utf-8")

    with pytest.raises(ConfigError, match=r"tasks\.yaml"):
        read_corpus(DataConfig(source=str(tmp_path / "tasks.yaml")))
    with pytest.raises(ConfigError, match="name: found"):
        load_space(ROOT / "spaces" / "sanity.yaml", [f"name={json.dumps(name)}"])


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "a/b", "..", "a\0b", "", "x" * 300])
def test_names_from_a_journal_or_table_become_no_path_elsewhere(name: str, tmp_path: Path) -> None:
    for path_from in (
        lambda: study_folder(tmp_path, name),
        lambda: export_folder(tmp_path, f"task:{name}"),
        lambda: snapshot_path(tmp_path, name or "../t", 1),
        lambda: LaneFile(tmp_path, name).path,
    ):
        with pytest.raises(ConfigError, match="as a name in it"):
            path_from()


def test_what_a_table_names_its_labels_becomes_no_path(tmp_path: Path) -> None:
    labels = ["../../evil", "fine"] * 12
    rows = {"text": [f"a text {n}" for n in range(24)], "../../evil": labels}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    task = {"name": "mood", "files": {"train": "a.parquet"}}
    task["columns"] = {"text": "text", "label": "../../evil"}
    (tmp_path / "tasks.yaml").write_text(json.dumps([task]), encoding="utf-8")
    before = set(tmp_path.parent.rglob("*"))

    corpus = read_corpus(DataConfig(source=str(tmp_path / "tasks.yaml")))
    encode(corpus, DataConfig(), tmp_path / "cache")

    assert corpus.tasks[0].labels == ("../../evil", "fine")
    new = set(tmp_path.parent.rglob("*")) - before
    assert all(path.is_relative_to(tmp_path / "cache") for path in new)


def command(out: Path, *options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "search.run", "--space", "spaces/sanity.yaml", "--out", str(out)]
    return subprocess.run(
        [*line, *options], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True,
        check=False, timeout=240,
    )  # fmt: skip


@pytest.mark.cluster
def test_secrets_of_the_environment_are_in_nothing_that_a_study_says_or_writes(
    tmp_path: Path,
) -> None:
    run = command(
        tmp_path, "--trials", "3", "--set", "search.confirm.seeds=1", "--set", "search.workers=1",
        "--set", "training.learning_rate=1e30", **SECRETS,
    )  # fmt: skip

    assert "report:" in run.stdout, run.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"journal.jsonl", "environment.json", "report.html"} <= {path.name for path in written}
    for secret in SECRETS.values():
        assert secret not in run.stdout + run.stderr
        assert not [path for path in written if secret.encode() in path.read_bytes()]
