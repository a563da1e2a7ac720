"""Rows survive their way through the journal."""

import json

import numpy as np
import pytest

from mtl_core.metrics import get_metric
from search.report.statistics import Scored
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


def test_counts_of_other_metrics_come_back() -> None:
    counts = np.random.default_rng(0).normal(size=(50, 5)).round(3)
    rows = {"value": Scored(counts, get_metric("regression", "pearson")), "books": np.ones(3, bool)}

    back = unpack(json.loads(json.dumps(pack(rows))), {"value": ("regression", "pearson")})

    assert isinstance(back["value"], Scored)
    assert back["value"].counts == pytest.approx(counts, abs=1e-6)
    assert back["value"].metric.name == "pearson"
    assert back["books"].tolist() == [True] * 3


@pytest.mark.parametrize("text", ["2x3:*", "2x3:AAAA", "2x3:"])
def test_counts_that_are_damaged_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="rows"):
        unpack({"value": text}, {"value": ("regression", "pearson")})
