"""Scores by hand, and that the counts of the rows give the score of the libraries."""

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from mtl_core.data.task import METRICS
from mtl_core.metrics import ACCURACY, Answers, get_metric

ALL = [(kind, name) for kind, names in METRICS.items() for name in names]
TAGS = ("B-X", "B-Y", "I-X", "O")


def random_answers(kind: str, n: int = 80) -> Answers:
    rng = np.random.default_rng(1)
    if kind == "multilabel":
        return Answers(rng.random((n, 4)) < 0.4, rng.random((n, 4)) < 0.5, tuple("abcd"))
    if kind == "regression":
        right = rng.normal(size=n).round(1)
        return Answers((right + rng.normal(size=n)).round(1), right, ())
    if kind == "tagging":
        offsets = np.concatenate([[0], np.cumsum(rng.integers(1, 9, n))])
        return Answers(*rng.integers(0, 4, (2, offsets[-1])), TAGS, offsets)
    return Answers(*rng.integers(0, 3, (2, n)), ("a", "b", "c"))


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_the_counts_of_the_rows_give_the_score(kind: str, name: str) -> None:
    metric, answers = get_metric(kind, name), random_answers(kind)

    counts = metric.counts(answers)

    assert len(counts) == answers.n_rows
    assert metric.of_means(counts.mean(0)) == pytest.approx(metric.score(answers), abs=1e-6)


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_right_answers_score_one(kind: str, name: str) -> None:
    answers = random_answers(kind)

    score = get_metric(kind, name).score(
        Answers(answers.labels, answers.labels, answers.names, answers.offsets)
    )

    assert score == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_scores_of_some_rows_are_those_of_a_set_without_the_others(kind: str, name: str) -> None:
    metric, answers = get_metric(kind, name), random_answers(kind)
    chosen = np.arange(answers.n_rows) % 3 == 0

    part = answers.take(chosen)

    assert part.n_rows == chosen.sum()
    assert metric.counts(part) == pytest.approx(metric.counts(answers)[chosen], abs=0.6)
    assert metric.score(part) == pytest.approx(
        metric.of_means(metric.counts(part).mean(0)), abs=1e-6
    )


def test_the_same_answer_to_everything_has_no_correlation() -> None:
    values = Answers(np.full(5, 0.3), np.arange(5.0), ())
    classes = Answers(np.zeros(6, int), np.array([0, 1, 0, 1, 1, 0]), ("no", "yes"))

    assert get_metric("regression", "pearson").score(values) == 0.0
    assert get_metric("regression", "spearman").score(values) == 0.0
    assert get_metric("classification", "matthews").score(classes) == 0.0


def test_f1_is_of_the_last_label() -> None:
    # Of "yes": one hit, two found, two right.
    answers = Answers(np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0]), ("no", "yes"))

    assert get_metric("classification", "f1").score(answers) == pytest.approx(0.5)
    assert ACCURACY.score(answers) == 0.5


def test_an_entity_counts_only_as_a_whole() -> None:
    # Right: X over words 0 and 1, Y at 3. Found: X over word 0 alone, Y at 3.
    right, found = np.array([0, 2, 3, 1]), np.array([0, 3, 3, 1])
    answers = Answers(found, right, TAGS, np.array([0, 4]))

    assert get_metric("tagging", "entity_f1").score(answers) == pytest.approx(0.5)
    assert get_metric("tagging", "accuracy").score(answers) == 0.75


@pytest.mark.filterwarnings("ignore:A single label was found")
@pytest.mark.parametrize(
    ("predicted", "labels"),
    [
        ([0] * 200, [0] * 199 + [1]),
        ([0] * 100, [0] * 30 + [1] * 70),
        ([0] * 5, [0] * 5),
        ([0] * 5, [1] * 5),
        ([0, 0, 0, 1], [1] * 4),
        ([0] * 6 + [2] * 4, [0] * 5 + [1] * 2 + [2] * 3),
        ([0] * 97 + [1] * 3, [0] * 98 + [1] * 2),
    ],
)
def test_matthews_of_unbalanced_classes_is_that_of_scikit_learn(
    predicted: list[int], labels: list[int]
) -> None:
    metric = get_metric("classification", "matthews")
    answers = Answers(np.array(predicted), np.array(labels), ("a", "b", "c"))

    score = metric.score(answers)

    assert score == pytest.approx(matthews_corrcoef(labels, predicted), abs=1e-12)
    assert metric.of_means(metric.counts(answers).mean(0)) == score


def test_a_label_on_neither_side_is_left_out_of_several() -> None:
    held = np.array([[True, False, False], [False, True, False]])
    answers = Answers(held, held, ("a", "b", "rare"))
    metric = get_metric("multilabel", "macro_f1")

    assert metric.score(answers) == 1.0
    assert metric.of_means(metric.counts(answers).mean(0)) == 1.0


@pytest.mark.parametrize("name", METRICS["multilabel"])
def test_several_labels_may_be_one(name: str) -> None:
    # One hit, two found, one right; right or wrong: three of four rows.
    found, right = np.array([[1], [1], [0], [0]]) > 0, np.array([[1], [0], [0], [0]]) > 0

    score = get_metric("multilabel", name).score(Answers(found, right, ("toxic",)))

    assert score == pytest.approx(0.75 if name == "accuracy" else 2 / 3)
