"""Rows survive their way through the journal."""

import json

import numpy as np
import pytest

from search.rows import pack, unpack


@pytest.mark.parametrize("n_rows", [0, 1, 7, 8, 9, 400])
def test_rows_come_back(n_rows: int) -> None:
    rows = {"books": np.random.default_rng(n_rows).random(n_rows) < 0.5}

    back = unpack(json.loads(json.dumps(pack(rows))))

    assert back["books"].dtype == np.bool_
    assert np.array_equal(back["books"], rows["books"])


def test_sixteen_tasks_of_400_rows_take_little_more_than_a_kilobyte() -> None:
    rows = {str(task): np.ones(400, dtype=bool) for task in range(16)}

    assert len(json.dumps(pack(rows))) < 1500


@pytest.mark.parametrize("text", ["400:AAAA", "8:*", "x:AA=="])
def test_text_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"rows|literal"):
        unpack({"books": text})
