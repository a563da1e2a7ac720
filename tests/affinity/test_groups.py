"""Trees and cuts: by hand, and by simulation with and without groups."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mtl_core.affinity.groups import cut, group, margin, of_layers, pairs, tree, without_levels


def noisy(base: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return base + rng.normal(size=(count, *base.shape))


def planted(n_tasks: int) -> NDArray[np.float64]:
    """Tasks in two groups in turn, closer to their own by one."""
    at = np.arange(n_tasks) % 2
    return (at[:, None] == at[None]).astype(float)


def test_pairs_are_symmetrised() -> None:
    matrix = np.array([[9.0, 1.0, 2.0], [3.0, 9.0, 4.0], [6.0, 8.0, 9.0]])

    assert pairs(matrix).tolist() == [2.0, 4.0, 6.0]


def test_the_tree_joins_the_closest_first_at_average_distances() -> None:
    # Pairs 01: 0.9, 02: 0.1, 12: 0.3, so 0 and 1 join at 0, and 2 with them at (0.8 + 0.6) / 2.
    matrix = np.array([[1.0, 0.9, 0.1], [0.9, 1.0, 0.3], [0.1, 0.3, 1.0]])

    linked = tree(matrix)

    assert linked[:, :2].tolist() == [[0, 1], [2, 3]]
    assert linked[:, 2].tolist() == pytest.approx([0.0, 0.7])
    assert cut(linked, 2).tolist() in ([0, 0, 1], [1, 1, 0])


def test_what_tasks_do_to_all_others_is_no_group() -> None:
    levels = np.array([0.0, 5.0, 0.0, 5.0, 1.0])

    assert without_levels(levels[:, None] + levels + 3.0) == pytest.approx(np.zeros((5, 5)))


def test_levels_are_those_of_least_squares() -> None:
    matrix = np.random.default_rng(0).normal(size=(6, 6))
    upper = np.triu_indices(6, 1)
    design = np.zeros((15, 6))
    design[np.arange(15), upper[0]] = design[np.arange(15), upper[1]] = 1

    levels = np.linalg.lstsq(design, pairs(matrix), rcond=None)[0]

    left = pairs(matrix) - design @ levels
    assert pairs(without_levels(matrix)) == pytest.approx(left)


def test_three_tasks_keep_their_levels() -> None:
    matrix = np.array([[9.0, 1.0, 2.0], [1.0, 9.0, 4.0], [2.0, 4.0, 9.0]])

    assert pairs(without_levels(matrix)).tolist() == [1.0, 2.0, 4.0]


def test_the_margin_is_own_group_less_the_nearest_other() -> None:
    matrix = np.array([[0, 5, 1, 2], [5, 0, 3, 0], [1, 3, 0, 7], [2, 0, 7, 0]], dtype=float)
    # Own group: 5, 5, 7, 7; the other: (1 + 2) / 2, (3 + 0) / 2, (1 + 3) / 2, (2 + 0) / 2.
    expected = np.mean([5 - 1.5, 5 - 1.5, 7 - 2, 7 - 1])

    assert margin(matrix, np.array([0, 0, 1, 1])) == pytest.approx(expected)


def test_a_task_alone_counts_nothing_and_one_group_has_no_margin() -> None:
    matrix = np.array([[0, 5, 1], [5, 0, 3], [1, 3, 0]], dtype=float)

    assert margin(matrix, np.array([0, 0, 1])) == pytest.approx((4 + 2 + 0) / 3)
    assert margin(matrix, np.array([0, 0, 0])) == 0.0


def test_planted_groups_are_found_from_noisy_measurements() -> None:
    rng = np.random.default_rng(1)

    found = [group(noisy(planted(8), 12, rng)).groups for _ in range(50)]

    assert np.mean([groups == ((0, 2, 4, 6), (1, 3, 5, 7)) for groups in found]) >= 0.95


@pytest.mark.parametrize("n_tasks", [4, 8, 16])
def test_noise_alone_makes_groups_in_a_twentieth_of_all_cases_at_most(n_tasks: int) -> None:
    rng = np.random.default_rng(2)
    matrices = [noisy(np.zeros((n_tasks, n_tasks)), 10, rng) for _ in range(300)]

    false = np.mean([group(matrix).stands_out for matrix in matrices])

    assert false <= 0.05 + 2 * (0.05 * 0.95 / 300) ** 0.5


def test_a_layer_counts_as_much_however_far_it_spreads() -> None:
    rng = np.random.default_rng(5)
    layers = rng.normal(size=(2, 6, 6))

    found = of_layers(layers * np.array([1.0, 1000.0])[:, None, None])

    assert found == pytest.approx(of_layers(layers))
    assert of_layers(layers[:1]) != pytest.approx(found)


def test_more_groups_than_two_are_found() -> None:
    rng = np.random.default_rng(3)
    at = np.arange(9) % 3
    base = 2.0 * (at[:, None] == at[None])

    assert group(noisy(base, 12, rng)).groups == ((0, 3, 6), (1, 4, 7), (2, 5, 8))


@pytest.mark.parametrize(("n_tasks", "count"), [(2, 12), (3, 12), (8, 2)])
def test_too_few_tasks_or_measurements_are_one_group_without_a_margin(
    n_tasks: int, count: int
) -> None:
    found = group(noisy(10 * planted(n_tasks), count, np.random.default_rng(4)))

    assert found.groups == (tuple(range(n_tasks)),)
    assert found.margin is None
    assert found.linkage.shape == (n_tasks - 1, 4)
