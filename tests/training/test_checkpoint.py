"""Checkpoints are whole files without pickle, and say what is wrong with a file that is none."""

import json
from pathlib import Path

import pytest
import torch

from mtl_core.errors import ConfigError
from mtl_core.training.checkpoint import (
    Checkpoint,
    check_same_trial,
    pack,
    read_checkpoint,
    unpack,
    write_checkpoint,
)


def test_values_and_tensors_come_back(tmp_path: Path) -> None:
    about = {"epoch": 3, "best": {"average": {"epoch": 2, "score": 1 / 3}}}
    tensors = {"a/weight": torch.randn(3, 2), "a/count": torch.tensor(4.0)}

    write_checkpoint(tmp_path / "deep" / "x.safetensors", Checkpoint(about, tensors))
    back = read_checkpoint(tmp_path / "deep" / "x.safetensors")

    assert {key: back.about[key] for key in about} == about
    assert all(torch.equal(back.tensors[name], tensors[name]) for name in tensors)


def test_the_file_is_a_json_header_and_numbers(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write_checkpoint(path, Checkpoint({"epoch": 3}, {"w": torch.ones(2)}))

    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])

    assert json.loads(header["__metadata__"]["branchpoint"])["epoch"] == 3


def test_a_failed_write_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write_checkpoint(path, Checkpoint({"epoch": 1}, {"w": torch.ones(2)}))

    with pytest.raises(TypeError):
        write_checkpoint(path, Checkpoint({"epoch": object()}, {"w": torch.ones(2)}))

    assert read_checkpoint(path).about["epoch"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["x.safetensors"]


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", b"\x02\0\0\0\0\0\0\0{}"])
def test_another_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"x.safetensors: not a file of branchpoint"):
        read_checkpoint(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone.safetensors: no such file"):
        read_checkpoint(tmp_path / "gone.safetensors")


def test_sections_are_packed_apart() -> None:
    packed = pack("best1", {"w": torch.zeros(1)}) | pack("best11", {"w": torch.ones(1)})

    assert unpack("best1", packed)["w"].item() == 0.0
    assert unpack("best11", packed)["w"].item() == 1.0


def test_differences_count_in_both_directions() -> None:
    mine = {"config": {"weights": None, "rate": 0.1}, "seed": 1}
    theirs = {"config": {"weights": {"books": 2.0}, "rate": 0.1}, "seed": 1, "epoch": 7}

    with pytest.raises(ConfigError) as caught:
        check_same_trial(theirs, mine, "file")

    assert caught.value.faults == ("file: config.weights.books is 2.0 there and None here",)
    check_same_trial({**mine, "epoch": 7}, mine, "file")
