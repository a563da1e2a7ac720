"""What mattered, by PED-ANOVA: a planted key stands first."""

from collections.abc import Sequence
from typing import Any

import pytest

from search.report.html.importance import (
    by_importance,
    importance_figure,
    importances,
    share_of_best,
)
from search.report.html.trials import columns, scored
from search.space import Space
from search.trial_record import TrialRecord


def trials_of(study: Any) -> Sequence[TrialRecord]:
    return scored(list(study.record().trials.values()))


def test_the_key_that_decides_stands_first(many: Any, space: Space, valid: Any) -> None:
    trials = trials_of(many)

    shares = importances(space, trials)

    assert next(iter(shares)) == "sharing.divergence_depth"  # its two alternatives as one
    assert shares["sharing.divergence_depth"] > 0.5
    assert sum(shares.values()) == pytest.approx(1.0)
    figure = importance_figure(shares, len(trials))
    assert figure is not None
    valid(figure)


def test_the_same_trials_give_the_same_shares(many: Any, space: Space) -> None:
    assert importances(space, trials_of(many)) == importances(space, trials_of(many))


def test_keys_stand_in_the_order_of_their_importance(many: Any, space: Space) -> None:
    found = columns(space, trials_of(many))

    order = by_importance(found, {"training.learning_rate": 0.2, "sharing.divergence_depth": 0.7})

    assert [column.head for column in order] == ["divergence_depth", "learning_rate", "structure"]


def test_of_a_handful_of_trials_nothing_is_said(whole: Any, space: Space) -> None:
    shares = importances(space, trials_of(whole))

    assert shares == {}
    assert importance_figure(shares, 3) is None


def test_values_of_a_former_space_are_left_out(many: Any, space: Space) -> None:
    many.train("stack_cls", (0.5, 0.5), 1, **{"training.learning_rate": 55.0})

    assert importances(space, trials_of(many))


def test_a_tenth_counts_as_the_best_but_never_fewer_than_five_or_more_than_half() -> None:
    assert share_of_best(200) == 0.1
    assert share_of_best(25) * 25 == 5
    assert share_of_best(8) == 0.5
