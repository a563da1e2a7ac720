"""Reading `affinity.json` back."""

from pathlib import Path

import pytest

from search.affinity.file import AFFINITY, read_affinity


def test_what_is_there_is_read(tmp_path: Path) -> None:
    (tmp_path / AFFINITY).write_text('{"format": 1, "trial": "t0001"}')

    assert read_affinity(tmp_path)["trial"] == "t0001"


@pytest.mark.parametrize("text", [None, "{", "[1]", '{"format": 0}'])
def test_anything_else_is_nothing(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / AFFINITY).write_text(text)

    assert read_affinity(tmp_path) == {}
