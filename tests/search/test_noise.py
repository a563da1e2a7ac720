"""How much of a score is luck: by formula, from rows, and where nothing is known."""

import numpy as np
import pytest
from planted import record_of, record_of_curves

from mtl_core.metrics import get_metric
from search.noise import Rows, noise_of, rows_of_study
from search.report.statistics import Scored

SCORES = np.array([[0.8, 0.6], [0.8, 0.6]])


def test_an_accuracy_varies_as_a_binomial_does() -> None:
    noise = noise_of(SCORES, [Rows(count=200), Rows(count=100)])

    assert noise.own[0] == pytest.approx([0.8 * 0.2 / 200, 0.6 * 0.4 / 100])
    assert noise.shared.tolist() == [0.0, 0.0]


def test_a_lucky_score_is_not_taken_for_a_sure_one() -> None:
    scores = np.array([[0.99, 0.8, 0.8, 0.8], [0.8, 0.8, 0.8, 0.8]])

    noise = noise_of(scores, [Rows(count=100)] * 4)

    assert noise.own[0, 0] > 5 * 0.99 * 0.01 / 100


def test_a_correlation_varies_the_less_the_closer_it_is() -> None:
    noise = noise_of(SCORES, [Rows(count=100, metric="pearson"), Rows(count=100)])

    assert noise.own[0, 0] == pytest.approx(0.36**2 / 100)


def test_of_a_task_without_rows_all_that_is_unexplained_is_noise() -> None:
    rng = np.random.default_rng(0)
    scores = 0.7 + rng.normal(0, 0.03, (500, 6))

    noise = noise_of(scores, [None] * 6)

    assert np.sqrt(noise.own.mean()) == pytest.approx(0.03 * np.sqrt(5 / 6), rel=0.05)


def rows_by_difficulty(spread: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return chances and answers (trials, 1, rows) where rows differ in difficulty."""
    chances = 1 / (1 + np.exp(-(1.5 + rng.normal(0, spread, 2_000))))
    return chances, rng.random((12, 1, 2_000)) < chances


@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
def test_what_trials_share_is_told_from_their_rows(spread: float) -> None:
    rng = np.random.default_rng(1)
    chances, right = rows_by_difficulty(spread, rng)
    scores = right.mean(2)
    record = record_of_curves([of[None] for of in scores], kept=[of[None] for of in right])
    kept = [trial.reports[0].rows for trial in record.trials.values()]

    found = rows_of_study(record, kept, scores)["task_0"]
    noise = noise_of(scores, [found])

    own = (chances * (1 - chances)).mean() / 2_000  # the rows being given
    assert found.count == 2_000
    assert noise.own.mean() == pytest.approx(own, rel=0.08)
    assert noise.own.mean() + noise.shared[0] == pytest.approx(
        chances.mean() * (1 - chances.mean()) / 2_000, rel=0.08
    )


def test_another_metric_has_its_noise_from_how_far_rows_move_it() -> None:
    rng = np.random.default_rng(2)
    y = rng.normal(size=4_000)
    metric = get_metric("regression", "pearson")
    scored = []
    for _ in range(4):
        x = y + rng.normal(size=4_000)
        scored.append(Scored(np.stack([x, y, x * y, x * x, y * y], 1), metric))
    scores = np.array([[of.mean()] for of in scored])
    record = record_of_curves([of[None] for of in scores], kept=[[[of]] for of in scored])  # type: ignore[list-item]

    kept = [trial.reports[0].rows for trial in record.trials.values()]
    found = rows_of_study(record, kept, scores)["task_0"]
    noise = noise_of(scores, [found])

    assert noise.own.mean() + noise.shared[0] == pytest.approx((1 - 0.5) ** 2 / 4_000, rel=0.15)
    assert 0.2 < found.own < 1.0


def test_without_kept_rows_their_number_is_taken_from_the_journal() -> None:
    record = record_of(SCORES, rows=150)

    found = rows_of_study(record, [None, None], SCORES)

    assert found == {"task_0": Rows(count=150), "task_1": Rows(count=150)}
