"""What is written of measurements: means, errors, groups, agreement."""

import json

import numpy as np
import pytest

from mtl_core.affinity.measure import Measured
from search.affinity.contents import agreement, contents, rounded

TASKS = ("a", "b", "c", "d")


def make_measured(look_ahead: np.ndarray, cosines: np.ndarray) -> Measured:
    steps = tuple(range(1, len(look_ahead) + 1))
    return Measured(
        steps=steps, look_ahead=look_ahead, cosines=cosines, layers=("words", "layer1"), epochs=()
    )


def grouped(strength: float, seed: int) -> np.ndarray:
    """Ten measurements of a and b against c and d."""
    at = np.array([0, 0, 1, 1])
    base = strength * (at[:, None] == at[None])
    return base + np.random.default_rng(seed).normal(size=(10, 4, 4))


def test_matrices_are_means_and_cosines_also_by_layer() -> None:
    ahead, cosines = grouped(3, 1), np.stack([grouped(3, 2), grouped(0, 3)], axis=1)

    found = contents(TASKS, make_measured(ahead, cosines), None)

    assert set(found["routes"]) == {"look_ahead", "gradient_cosine"}
    mine, theirs = (found["routes"][route] for route in ("look_ahead", "gradient_cosine"))
    assert np.array(mine["matrix"]) == pytest.approx(ahead.mean(0), rel=1e-4)
    errors = ahead.std(0, ddof=1) / 10**0.5
    assert np.array(mine["standard_error"]) == pytest.approx(errors, rel=1e-4)
    assert np.array(theirs["matrix"]) == pytest.approx(cosines.mean((0, 1)), rel=1e-4)
    assert np.array(theirs["by_layer"]) == pytest.approx(cosines.mean(0), rel=1e-4)
    assert theirs["layers"] == ["words", "layer1"]
    json.dumps(found)


def test_groups_are_named_and_absent_where_none_stands_out() -> None:
    cosines = np.stack([grouped(0, 4)] * 2, axis=1)

    found = contents(TASKS, make_measured(grouped(5, 1), cosines), grouped(5, 6))

    groups = found["groups"]
    assert groups["look_ahead"]["groups"] == [["a", "b"], ["c", "d"]]
    assert groups["attention"]["stands_out"]
    assert groups["gradient_cosine"]["groups"] == [["a", "b", "c", "d"]]
    assert not groups["gradient_cosine"]["stands_out"]
    assert np.array(groups["look_ahead"]["linkage"]).shape == (3, 4)


def test_agreement_is_the_rank_correlation_of_the_pairs() -> None:
    first = np.array([[9, 1, 2], [1, 9, 3], [2, 3, 9]], dtype=float)
    second = np.array([[0, 5, 9], [5, 0, 7], [9, 7, 0]], dtype=float)

    found = agreement({"look_ahead": first[None], "gradient_cosine": second[None]})

    # Pairs 1, 2, 3 against 5, 9, 7: ranks 1 2 3 and 1 3 2, so 1 - 6 * 2 / 24.
    assert found == [{"routes": ["look_ahead", "gradient_cosine"], "spearman": 0.5, "pairs": 3}]


def test_agreement_of_two_tasks_or_of_equal_numbers_is_unknown() -> None:
    two, same = np.ones((1, 2, 2)), np.ones((1, 4, 4))

    assert agreement({"look_ahead": two, "attention": two})[0]["spearman"] is None
    assert agreement({"look_ahead": same, "attention": grouped(1, 1)})[0]["spearman"] is None


def test_numbers_are_rounded_to_what_is_worth_keeping() -> None:
    assert rounded(np.array([[0.000123456789, 2.0]])) == [[0.000123457, 2.0]]
