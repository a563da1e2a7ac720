"""The cheap classifiers every result is held against: majority, TF-IDF per task and pooled.

A logistic regression on TF-IDF words and word pairs (Wang & Manning, 2012, for how hard it is to
beat) trains in seconds. Pooled, one model learns from the train rows of all tasks that have the
same label set: sharing without a Transformer. Everything is chosen on dev; the predictions are kept
row by row, so that a model can be compared with a baseline on the same rows. scikit-learn, which
takes a second and more to import, is imported where it is used: the report only needs the names.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mtl_core.data.task import Corpus, Task

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

MAJORITY, TFIDF, TFIDF_POOLED = "majority", "tfidf", "tfidf_pooled"
INVERSE_REGULARISATION = (1.0, 10.0, 100.0)
SCORED = ("dev", "test")
_WORD = r"\w+|[^\w\s]"  # a mark is a word of its own: "!" and ":(" tell a sentiment

Labels = NDArray[np.str_]


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What one cheap classifier says about the dev and the test rows of every task.

    Args:
        predicted: Labels by task and split ("dev", "test"), in file order.
        correct: The same as right or wrong.
        regularisation: The C chosen on dev by task; empty where there is none to choose.
    """

    name: str
    predicted: dict[str, dict[str, Labels]]
    correct: dict[str, dict[str, NDArray[np.bool_]]]
    regularisation: dict[str, float]


def baselines(corpus: Corpus) -> Iterator[Baseline]:
    """Yield majority, TF-IDF per task, and TF-IDF pooled where two tasks share a label set."""
    tasks = corpus.tasks
    yield _baseline(MAJORITY, tasks, {task.name: _majority(task) for task in tasks})
    alone = {task.name: _logistic_regression((task,))[task.name] for task in tasks}
    yield _baseline(TFIDF, tasks, alone)
    if TFIDF_POOLED not in baseline_names(corpus):
        return
    pooled: dict[str, _Fitted] = {}
    for group in label_groups(tasks):
        if len(group) > 1:
            pooled |= _logistic_regression(group)
        else:
            pooled[group[0].name] = alone[group[0].name]
    yield _baseline(TFIDF_POOLED, tasks, pooled)


def baseline_names(corpus: Corpus) -> tuple[str, ...]:
    """Return the names of what `baselines` yields for this corpus."""
    poolable = any(len(group) > 1 for group in label_groups(corpus.tasks))
    return (MAJORITY, TFIDF, TFIDF_POOLED) if poolable else (MAJORITY, TFIDF)


def label_groups(tasks: tuple[Task, ...]) -> list[tuple[Task, ...]]:
    """Return the tasks in groups of equal label sets, in the order of their first task."""
    groups: dict[frozenset[str], list[Task]] = {}
    for task in tasks:
        groups.setdefault(frozenset(task.labels), []).append(task)
    return [tuple(group) for group in groups.values()]


@dataclass(frozen=True)
class _Fitted:
    predicted: dict[str, Labels]
    regularisation: float | None


def _baseline(name: str, tasks: tuple[Task, ...], fitted: dict[str, _Fitted]) -> Baseline:
    correct = {
        task.name: {
            split: fitted[task.name].predicted[split] == np.array(task.splits[split].labels)
            for split in SCORED
        }
        for task in tasks
    }
    chosen = {name: fit.regularisation for name, fit in fitted.items()}
    return Baseline(
        name=name,
        predicted={task: fit.predicted for task, fit in fitted.items()},
        correct=correct,
        regularisation={task: value for task, value in chosen.items() if value is not None},
    )


def _majority(task: Task) -> _Fitted:
    labels, counts = np.unique(np.array(task.splits["train"].labels), return_counts=True)
    most = labels[counts.argmax()]
    return _Fitted({split: np.full(len(task.splits[split]), most) for split in SCORED}, None)


def _logistic_regression(tasks: tuple[Task, ...]) -> dict[str, _Fitted]:
    """Train one model on the train rows of `tasks`; C is the best on the mean of their dev."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, token_pattern=_WORD, dtype=np.float32
    )
    words = vectorizer.fit_transform([text for t in tasks for text in t.splits["train"].texts])
    labels = np.array([label for task in tasks for label in task.splits["train"].labels])
    rows = {
        (task.name, split): vectorizer.transform(task.splits[split].texts)
        for task in tasks
        for split in SCORED
    }
    best: tuple[float, float, dict[tuple[str, str], Labels]] | None = None
    for regularisation in INVERSE_REGULARISATION:
        model = _fit(words, labels, regularisation)
        predicted = {key: model.predict(matrix) for key, matrix in rows.items()}
        score = _mean_dev_accuracy(tasks, predicted)
        if best is None or score > best[0]:  # a tie keeps the simpler, more regular model
            best = (score, regularisation, predicted)
    assert best is not None
    return {t.name: _Fitted({s: best[2][t.name, s] for s in SCORED}, best[1]) for t in tasks}


def _fit(words: object, labels: Labels, regularisation: float) -> "LogisticRegression":
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    # liblinear: lbfgs leaves scaled sparse features half fitted at any tolerance that is fast
    model = LogisticRegression(C=regularisation, solver="liblinear", tol=1e-3)
    if len(np.unique(labels)) > 2:
        model = OneVsRestClassifier(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a hair less fitted is a fair baseline
        return model.fit(words, labels)


def _mean_dev_accuracy(tasks: tuple[Task, ...], predicted: dict[tuple[str, str], Labels]) -> float:
    right = [predicted[t.name, "dev"] == np.array(t.splits["dev"].labels) for t in tasks]
    return float(np.mean([np.mean(rows) for rows in right]))
