"""Arrays come back from their file as they were; a damaged file is made anew."""

from pathlib import Path

import numpy as np
import pytest

from mtl_core.data.arrays import Arrays, keep_arrays, open_arrays, write_arrays

ARRAYS: Arrays = {
    "keys": np.array([3, 2**63 + 5], dtype=np.uint64),
    "values": np.arange(6, dtype=np.float32).reshape(2, 3),
    "none": np.zeros((0, 4), dtype=np.int32),
}


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    write_arrays(tmp_path / "file.arrow", ARRAYS)

    found = open_arrays(tmp_path / "file.arrow")

    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_arrays_are_made_once(tmp_path: Path) -> None:
    keep_arrays("file.arrow", lambda: ARRAYS, tmp_path)

    found = keep_arrays("file.arrow", lambda: pytest.fail("made again"), tmp_path)

    assert found["keys"].tolist() == [3, 2**63 + 5]


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    keep_arrays("file.arrow", lambda: ARRAYS, tmp_path)
    path = tmp_path / "file.arrow"
    at = path.read_bytes().index(ARRAYS["values"].tobytes())
    path.write_bytes(path.read_bytes()[:at] + b"\x01" + path.read_bytes()[at + 1 :])

    found = keep_arrays("file.arrow", lambda: ARRAYS, tmp_path)

    np.testing.assert_array_equal(found["values"], ARRAYS["values"])
