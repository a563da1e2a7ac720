"""Hashes of the files that models start from: they follow what is read, and nothing else."""

import shutil
from pathlib import Path

import pytest
from pretrained_folders import make_folder

from search.given_files import hashes_of_files
from search.space import parse_space


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bert").mkdir()
    return make_folder(tmp_path / "bert", "bert")


def hashes(**sections: str) -> dict[str, str]:
    text = "".join(f"{section}: {values}\n" for section, values in sections.items())
    return hashes_of_files(parse_space(text))


def test_a_space_without_such_files_has_none() -> None:
    assert hashes(data="{vectors: own}", encoder="{d_word: 128}") == {}


def test_an_encoder_is_told_by_what_is_in_its_files_and_not_by_its_folder(
    folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    (other / "README.md").write_text("a note")

    first, second = (hashes(encoder=f"{{pretrained: {place}}}") for place in (folder, other))

    assert list(first) == ["encoder.pretrained"]
    assert first == second


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_each_file_of_an_encoder_counts(name: str, folder: Path) -> None:
    before = hashes(encoder=f"{{pretrained: {folder}}}")

    (folder / name).write_bytes((folder / name).read_bytes() + b" ")

    assert hashes(encoder=f"{{pretrained: {folder}}}") != before


def test_a_tokenizer_and_vectors_count_by_themselves(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("good 1 2\n")

    found = hashes(data=f"{{tokenizer: {folder}, vectors: {tmp_path / 'v.txt'}}}")

    assert sorted(found) == ["data.tokenizer", "data.vectors"]
