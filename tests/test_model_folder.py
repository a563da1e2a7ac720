"""Where a pretrained model's folder is, and what to do where it cannot be had."""

import sys
from pathlib import Path

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
