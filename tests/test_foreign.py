"""What is wrong with a file that somebody else made is said in one message."""

from pathlib import Path

import pytest

from mtl_core import foreign
from mtl_core.errors import ConfigError
from mtl_core.foreign import read_json


@pytest.mark.parametrize(
    "content", [b"{", b"\xff{}", b"[" * 100_000], ids=["cut", "latin-1", "deep"]
)
def test_what_is_no_json_is_said_to_be_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"config\.json: not JSON \("):
        read_json(path)


def test_json_that_is_far_too_large_is_not_said_to_be_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "MOST_JSON_BYTES", 5)
    path = tmp_path / "config.json"
    path.write_text("[1,2,3]")

    with pytest.raises(ConfigError) as caught:
        read_json(path)

    assert str(caught.value) == f"{path}: found 7 bytes, at most 5 would be right"
