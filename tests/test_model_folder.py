"""Where a pretrained model's folder is, and what to do where it cannot be had."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mtl_core.errors import ConfigError
from mtl_core.model_folder import folder_of

HOW = r"run `hf download {} --local-dir DIR` where there is a network .* and name DIR instead"


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert folder_of(str(tmp_path), "key") == tmp_path


def test_a_file_or_a_path_that_is_not_there_is_no_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for name, found in (("file", "a file"), ("none", "no such folder")):
        with pytest.raises(ConfigError, match=f"^key: found '.*{name}', {found}; a folder with"):
            folder_of(str(tmp_path / name), "key")


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the hub's cache has; what is downloaded has a folder of its own."""

    def snapshot_download(name: str, *, local_files_only: bool = False, **_: object) -> str:
        assert name == "owner/name"
        return str(tmp_path / ("cached" if local_files_only else "downloaded"))

    hub = SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    (tmp_path / "cached").mkdir()
    return tmp_path / "cached"


def write_all(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def test_what_the_cache_has_as_a_whole_is_not_downloaded(cached: Path) -> None:
    write_all(cached, "config.json", "tokenizer.json", "model.safetensors")

    assert folder_of("owner/name", "key") == cached


def test_a_model_that_the_cache_has_a_part_of_is_downloaded(cached: Path) -> None:
    write_all(cached, "config.json", "tokenizer.json")

    assert folder_of("owner/name", "key") == cached.parent / "downloaded"
    assert folder_of("owner/name", "key", only_tokenizer=True) == cached


def test_all_shards_of_an_index_must_be_in_the_cache(cached: Path) -> None:
    write_all(cached, "config.json", "tokenizer.json", "1.safetensors")
    index = {"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}
    (cached / "model.safetensors.index.json").write_text(json.dumps(index))

    assert folder_of("owner/name", "key") == cached.parent / "downloaded"
    write_all(cached, "2.safetensors")
    assert folder_of("owner/name", "key") == cached


def test_without_the_hub_s_library_the_message_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)

    with pytest.raises(ConfigError, match=HOW.format("owner/name")):
        folder_of("owner/name", "key")


def test_offline_the_message_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants", reason="no huggingface_hub")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    with pytest.raises(ConfigError, match=HOW.format("owner/there-is-none")):
        folder_of("owner/there-is-none", "key")
