"""The cheap classifiers every result is held against: majority, TF-IDF per task and pooled.

A logistic regression on TF-IDF words and word pairs (Wang & Manning, 2012, for how hard it is to
beat) trains in seconds. Pooled, one model learns from the train rows of all tasks that have the
same label set: sharing without a Transformer. Values are fitted by ridge regression on the same
features; of a tagged word the tag that it has most often in train is said. Everything is chosen on
dev; the predictions are kept row by row, so that a model can be compared with a baseline on the
same rows. scikit-learn, which takes a second and more to import, is imported where it is used: the
report only needs the names. Shapes: n rows, C labels.
"""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtl_core.answers import Answered, Predicted, answer
from mtl_core.data.task import NO_LABEL, Corpus, Split, Task, labels_in
from mtl_core.metrics import ACCURACY

MAJORITY, TFIDF, TFIDF_POOLED = "majority", "tfidf", "tfidf_pooled"
INVERSE_REGULARISATION = (1.0, 10.0, 100.0)
SCORED = ("dev", "test")
_WORD = r"\w+|[^\w\s]"  # a mark is a word of its own: "!" and ":(" tell a sentiment


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What one cheap classifier says about the dev and the test rows of every task.

    Args:
        predicted: By task and split ("dev", "test"), in file order: labels (n,), values (n,), for
            each label whether it holds (n, C), or a list of tags for each text (n,).
        answered: The same beside what is right, of the rows that have a label.
        regularisation: The C chosen on dev by task; empty where there is none to choose.
    """

    name: str
    predicted: dict[str, dict[str, Predicted]]
    answered: dict[str, dict[str, Answered]]
    regularisation: dict[str, float]

    @property
    def correct(self) -> dict[str, dict[str, NDArray[np.bool_]]]:
        """Right or wrong, row by row, of the tasks that are scored by accuracy of classes."""
        return {
            task: {split: of.answers.predicted == of.answers.labels for split, of in splits.items()}
            for task, splits in self.answered.items()
            if all(of.metric is ACCURACY for of in splits.values())
        }


def baselines(corpus: Corpus) -> Iterator[Baseline]:
    """Yield majority, TF-IDF per task, and TF-IDF pooled where two tasks share a label set."""
    tasks = corpus.tasks
    yield _baseline(MAJORITY, tasks, {task.name: _majority(task) for task in tasks})
    alone = {task.name: _linear((task,))[task.name] for task in tasks}
    yield _baseline(TFIDF, tasks, alone)
    if TFIDF_POOLED not in baseline_names(corpus):
        return
    pooled: dict[str, _Fitted] = {}
    for group in label_groups(tasks):
        if len(group) > 1:
            pooled |= _linear(group)
        else:
            pooled[group[0].name] = alone[group[0].name]
    yield _baseline(TFIDF_POOLED, tasks, pooled)


def baseline_names(corpus: Corpus) -> tuple[str, ...]:
    """Return the names of what `baselines` yields for this corpus."""
    poolable = any(len(group) > 1 for group in label_groups(corpus.tasks))
    return (MAJORITY, TFIDF, TFIDF_POOLED) if poolable else (MAJORITY, TFIDF)


def label_groups(tasks: tuple[Task, ...]) -> list[tuple[Task, ...]]:
    """Return the tasks in groups of equal kind and label set, in the order of their first task.

    Values of different tasks are on scales of their own, and tags are learnt word by word: each
    such task stands alone.
    """
    groups: dict[object, list[Task]] = {}
    for task in tasks:
        key: object = (task.kind, task.of_pairs, frozenset(task.labels))
        if task.kind in ("regression", "tagging"):
            key = task.name
        groups.setdefault(key, []).append(task)
    return [tuple(group) for group in groups.values()]


@dataclass(frozen=True)
class _Fitted:
    predicted: dict[str, Predicted]
    regularisation: float | None


def _baseline(name: str, tasks: tuple[Task, ...], fitted: dict[str, _Fitted]) -> Baseline:
    chosen = {name: fit.regularisation for name, fit in fitted.items()}
    return Baseline(
        name=name,
        predicted={task: fit.predicted for task, fit in fitted.items()},
        answered={
            task.name: {s: answer(task, s, fitted[task.name].predicted[s]) for s in SCORED}
            for task in tasks
        },
        regularisation={task: value for task, value in chosen.items() if value is not None},
    )


def _majority(task: Task) -> _Fitted:
    """Say what is most frequent in train, whatever the text; of values, their mean."""
    train = task.splits["train"].labels
    counts = {split: len(task.splits[split]) for split in SCORED}
    if task.kind == "tagging":
        most = Counter(tag for tags in train for tag in tags.split()).most_common(1)[0][0]
        return _Fitted({split: _tags_of(task, split, {}, most) for split in SCORED}, None)
    if task.kind == "classification":
        labels, how_often = np.unique([label for label in train if label], return_counts=True)
        most = labels[how_often.argmax()]
    else:
        targets = _targets(task, "train")
        most = targets[~np.isnan(targets).reshape(len(targets), -1).any(1)].mean(0)
        most = most > 0.5 if task.kind == "multilabel" else most
    return _Fitted({split: np.array([most] * n) for split, n in counts.items()}, None)


def _linear(tasks: tuple[Task, ...]) -> dict[str, _Fitted]:
    """Train one model on the train rows of `tasks`; C is the best on the mean of their dev."""
    if tasks[0].kind == "tagging":
        return {task.name: _most_frequent_tags(task) for task in tasks}
    vectorizer, words = _features(tasks)
    targets = np.concatenate([_targets(task, "train") for task in tasks])
    given = targets != NO_LABEL if targets.dtype.kind == "U" else ~np.isnan(targets)
    given = given.reshape(len(given), -1).all(1)
    rows = {(t.name, s): _matrix(vectorizer, t.splits[s]) for t in tasks for s in SCORED}
    best: tuple[float, float, dict[tuple[str, str], Predicted]] | None = None
    for regularisation in INVERSE_REGULARISATION:
        model = _fit(words[given], targets[given], regularisation, tasks[0].kind)
        shape = (-1, *targets.shape[1:])  # of one label scikit-learn answers in one dimension
        predicted = {key: model.predict(matrix).reshape(shape) for key, matrix in rows.items()}
        answered = [answer(task, "dev", predicted[task.name, "dev"]) for task in tasks]
        score = float(np.mean([of_task.score for of_task in answered]))
        if best is None or score > best[0]:  # a tie keeps the simpler, more regular model
            best = (score, regularisation, predicted)
    assert best is not None
    return {t.name: _Fitted({s: best[2][t.name, s] for s in SCORED}, best[1]) for t in tasks}


def _features(tasks: tuple[Task, ...]) -> tuple[Any, Any]:
    """Return what turns texts into TF-IDF, and the features of the train rows."""
    from scipy.sparse import vstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, token_pattern=_WORD, dtype=np.float32
    )
    train = [task.splits["train"] for task in tasks]
    if not any(rows.seconds for rows in train):
        return vectorizer, vectorizer.fit_transform([text for r in train for text in r.texts])
    vectorizer.fit([text for rows in train for text in (*rows.texts, *rows.seconds)])
    return vectorizer, vstack([_matrix(vectorizer, rows) for rows in train]).tocsr()


def _matrix(vectorizer: Any, rows: Split) -> Any:
    """Return the features of rows; of pairs, how the texts differ and what they share."""
    from scipy.sparse import hstack

    first = vectorizer.transform(rows.texts)
    if not rows.seconds:
        return first
    second = vectorizer.transform(rows.seconds)
    return hstack([abs(first - second), first.multiply(second)]).tocsr()


def _fit(words: Any, targets: NDArray[np.generic], regularisation: float, kind: str) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.multiclass import OneVsRestClassifier

    # liblinear: lbfgs leaves scaled sparse features half fitted at any tolerance that is fast
    model = LogisticRegression(C=regularisation, solver="liblinear", tol=1e-3)
    if kind == "regression":
        model = Ridge(alpha=1 / regularisation)
    elif kind == "multilabel" or len(np.unique(targets)) > 2:
        model = OneVsRestClassifier(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a hair less fitted is a fair baseline
        warnings.filterwarnings("ignore", "Label .* is present in all training examples")
        return model.fit(words, targets)


def _most_frequent_tags(task: Task) -> _Fitted:
    """Say of each word the tag that it has most often in train: the linear model's place."""
    train = task.splits["train"]
    counts: dict[str, Counter[str]] = {}
    for text, tags in zip(train.texts, train.labels, strict=True):
        of_text = labels_in(tags, task.kind)  # none of a row without a label
        for word, tag in zip(text.lower().split(" "), of_text, strict=False):
            counts.setdefault(word, Counter())[tag] += 1
    of_words = {word: tags.most_common(1)[0][0] for word, tags in counts.items()}
    most = Counter(tag for tags in train.labels for tag in tags.split()).most_common(1)[0][0]
    return _Fitted({split: _tags_of(task, split, of_words, most) for split in SCORED}, None)


def _tags_of(task: Task, split: str, of_words: Mapping[str, str], most: str) -> Predicted:
    tags = [
        [of_words.get(word, most) for word in text.lower().split(" ")]
        for text in task.splits[split].texts
    ]
    found = np.empty(len(tags), dtype=object)
    found[:] = tags
    return found


def _targets(task: Task, split: str) -> NDArray[np.generic]:
    """Return what is to be learnt: labels (n,), values (n,), or which labels hold (n, C)."""
    labels = task.splits[split].labels
    if task.kind == "classification":
        return np.array(labels, dtype=np.str_)
    if task.kind == "regression":
        return np.array([float(label) if label != NO_LABEL else np.nan for label in labels])
    held = [
        [
            np.nan if label == NO_LABEL else float(name in labels_in(label, task.kind))
            for name in task.labels
        ]
        for label in labels
    ]
    return np.array(held)
