"""The set of trials that none beats on everything."""

import numpy as np
from planted import record_of

from search.costs import Cost
from search.pareto import pareto_set, undominated
from search.selection import select


def test_a_row_that_another_beats_everywhere_is_out_and_twins_stay() -> None:
    values = np.array([[3.0, 1.0], [2.0, 2.0], [1.0, 3.0], [1.0, 2.0], [2.0, 2.0]])

    assert undominated(values).tolist() == [True, True, True, False, True]


def test_the_set_holds_what_is_best_smallest_or_fastest_the_best_first() -> None:
    scores = np.array([[0.9, 0.9], [0.85, 0.85], [0.8, 0.8], [0.7, 0.7], [0.95, 0.6]])
    costs = [
        Cost(parameters=p, flops_per_text=f) for p, f in ((9, 9), (5, 9), (6, 9), (6, 1), (9, 9))
    ]
    record = record_of(scores, rows=100_000)

    found = pareto_set(select(record), dict(zip(record.trials, costs, strict=True)))

    assert [option.trial for option in found] == ["t0001", "t0002", "t0004"]
    assert found[2].flops_per_text == 1


def test_without_costs_or_scores_the_set_is_empty() -> None:
    assert pareto_set(select(record_of(np.array([[0.9, 0.9], [0.8, 0.7]]))), {}) == []
    assert pareto_set(select(record_of(np.array([[0.9, np.nan]]))), {}) == []
