"""Dev rows as text: back as they were, and short."""

import numpy as np
import pytest

from mtl_core.metrics import get_metric
from search.dev_rows import pack_dev, unpack_dev
from search.report.statistics import Scored


def test_right_and_wrong_come_back_as_they_were() -> None:
    rng = np.random.default_rng(0)
    rows = {"a": rng.random(200) < 0.8, "b": rng.random(13) < 0.5, "c": np.zeros(0, bool)}

    text = pack_dev(rows)

    for found, expected in zip(unpack_dev(text), rows.values(), strict=True):
        assert found.tolist() == expected.tolist()
    assert len(pack_dev({"a": rows["a"]})) < 50


def test_of_another_metric_the_moves_of_rows_come_back_nearly() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 500))
    scored = Scored(np.stack([x, y, x * y, x * x, y * y], 1), get_metric("regression", "pearson"))

    found = unpack_dev(pack_dev({"s": scored, "t": np.ones(3, bool)}))

    expected = scored.influences()
    assert found[0] == pytest.approx(expected, abs=np.abs(expected).max() / 250)
    assert found[1].tolist() == [1, 1, 1]


def test_rows_that_move_nothing_are_zeros() -> None:
    scored = Scored(np.zeros((4, 3)), get_metric("classification", "f1"))

    assert unpack_dev(pack_dev({"s": scored}))[0].tolist() == [0.0] * 4
