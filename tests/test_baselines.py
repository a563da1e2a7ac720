"""The cheap classifiers: exact on hand-made tasks, honest about which tasks they pool."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mixed_corpus import mixed_corpus
from sklearn.exceptions import ConvergenceWarning

from mtl_core import baselines as module
from mtl_core.answers import answer
from mtl_core.baselines import Baseline, baseline_names, baselines, label_groups
from mtl_core.data.config import DataConfig
from mtl_core.data.readers import read_corpus
from mtl_core.data.task import Corpus, Split, Task

POSITIVE, NEGATIVE = ("pos", "neg")


def make_split(pairs: list[tuple[str, str]]) -> Split:
    texts, labels = zip(*pairs, strict=True)
    return Split(texts=texts, labels=labels, source="hand-made")


def make_task(name: str, good: str, bad: str, labels: tuple[str, ...] = ("neg", "pos")) -> Task:
    low, high = labels[0], labels[-1]
    train = [(f"a {good} thing", high)] * 6 + [(f"the {bad} thing", low)] * 4
    held_out = [(f"what a {good} day", high), (f"the {bad} one", low), ("!", high)]
    splits = {"train": train, "dev": held_out[:2], "test": held_out}
    return Task(name=name, labels=labels, splits={k: make_split(v) for k, v in splits.items()})


def make_corpus(*tasks: Task) -> Corpus:
    return Corpus(tasks=tasks, layout="folders", source="hand-made")


def by_name(corpus: Corpus) -> dict[str, Baseline]:
    return {baseline.name: baseline for baseline in baselines(corpus)}


def test_majority_predicts_the_most_frequent_train_label() -> None:
    found = by_name(make_corpus(make_task("books", "fine", "dull")))["majority"]

    assert found.predicted["books"]["test"].tolist() == ["pos", "pos", "pos"]
    assert found.correct["books"]["test"].tolist() == [True, False, True]
    assert found.regularisation == {}


def test_tfidf_learns_the_cue_words_of_a_task() -> None:
    found = by_name(make_corpus(make_task("books", "fine", "dull")))["tfidf"]

    assert found.predicted["books"]["dev"].tolist() == ["pos", "neg"]
    assert found.correct["books"]["dev"].all()
    assert found.regularisation["books"] in module.INVERSE_REGULARISATION


def test_regularisation_is_the_smallest_of_those_equal_on_dev() -> None:
    found = by_name(make_corpus(make_task("books", "fine", "dull")))["tfidf"]

    assert found.regularisation["books"] == module.INVERSE_REGULARISATION[0]


def test_pooling_carries_cues_from_one_task_to_another() -> None:
    books, films = make_task("books", "fine", "dull"), make_task("films", "great", "poor")
    crossed = make_split([("great reading", "pos"), ("poor reading", "neg")])
    books = Task(name="books", labels=books.labels, splits={**books.splits, "test": crossed})

    found = by_name(make_corpus(books, films))

    assert not found["tfidf"].correct["books"]["test"].all()
    assert found["tfidf_pooled"].correct["books"]["test"].all()


def test_tasks_are_pooled_only_with_tasks_of_the_same_label_set() -> None:
    tasks = (
        make_task("books", "fine", "dull"),
        make_task("topics", "ball", "bank", labels=("money", "sport")),
        make_task("films", "fine", "dull", labels=("pos", "neg")),
    )

    groups = label_groups(tasks)

    assert [[task.name for task in group] for group in groups] == [["books", "films"], ["topics"]]


def test_task_without_a_partner_keeps_its_own_predictions_when_pooled() -> None:
    topics = make_task("topics", "ball", "bank", labels=("money", "sport"))
    corpus = make_corpus(
        make_task("books", "fine", "dull"), topics, make_task("films", "fine", "dull")
    )

    found = by_name(corpus)

    alone, pooled = (found[name].predicted["topics"]["test"] for name in ("tfidf", "tfidf_pooled"))
    assert np.array_equal(alone, pooled)


def test_nothing_is_pooled_when_no_two_tasks_share_their_labels() -> None:
    assert set(by_name(make_corpus(make_task("books", "fine", "dull")))) == {"majority", "tfidf"}


def test_more_than_two_classes_are_told_apart() -> None:
    words = {"a": "apple", "b": "bread", "c": "cheese"}
    rows = [(f"some {word} here", label) for label, word in words.items()]
    splits = {"train": make_split(rows * 5), "dev": make_split(rows), "test": make_split(rows)}
    task = Task(name="food", labels=("a", "b", "c"), splits=splits)

    found = by_name(make_corpus(task))["tfidf"]

    assert found.predicted["food"]["test"].tolist() == ["a", "b", "c"]


def test_names_are_known_before_anything_is_trained() -> None:
    alone = make_corpus(make_task("books", "fine", "dull"))
    both = make_corpus(make_task("books", "fine", "dull"), make_task("films", "fine", "dull"))

    assert baseline_names(alone) == tuple(by_name(alone))
    assert baseline_names(both) == tuple(by_name(both))


def test_real_tasks_gain_from_pooling(fdu_folder: Path) -> None:
    names = ("kitchen_housewares", "electronics", "apparel", "MR")
    corpus = read_corpus(DataConfig(source=str(fdu_folder), tasks=names))

    test = {
        baseline.name: np.mean([splits["test"].mean() for splits in baseline.correct.values()])
        for baseline in baselines(corpus)
    }

    assert test["majority"] == pytest.approx(0.479, abs=0.001)
    assert test["tfidf"] == pytest.approx(0.818, abs=0.005)
    assert test["tfidf_pooled"] == pytest.approx(0.843, abs=0.005)


def test_unfinished_fit_is_used_without_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unfinished:
        def __init__(self, **_: object) -> None: ...

        def fit(self, *_: object) -> "Unfinished":
            import warnings

            warnings.warn("did not converge", ConvergenceWarning, stacklevel=1)
            return self

    monkeypatch.setattr("sklearn.linear_model.LogisticRegression", Unfinished)

    assert isinstance(module._fit(None, np.array(["a", "b"]), 1.0, "classification"), Unfinished)


def test_every_kind_has_its_baselines() -> None:
    corpus = mixed_corpus(rows=200, missing=0.1)

    found = {baseline.name: baseline for baseline in baselines(corpus)}

    majority, linear = (
        {task: splits["test"].score for task, splits in found[name].answered.items()}
        for name in ("majority", "tfidf")
    )
    assert majority["value"] == majority["tags"] == 0.0
    # Bags of words tell classes, labels and sums; a word's own tag is most of what a tag is.
    assert linear["topic"] > 0.95
    assert linear["marks"] > 0.9
    assert linear["value"] > 0.7
    assert linear["tags"] > 0.5
    assert linear["same"] > 0.9


def test_rows_without_a_label_are_no_part_of_a_baseline_s_score() -> None:
    corpus = mixed_corpus(rows=40)
    topic = corpus.tasks[0]
    test = topic.splits["test"]
    gaps = replace(test, labels=("", *test.labels[1:]))
    task = replace(topic, splits={**topic.splits, "test": gaps})

    found = next(iter(baselines(Corpus(tasks=(task,), layout="folders", source="here"))))

    assert found.answered["topic"]["test"].given.tolist() == [False] + [True] * (len(test) - 1)
    assert found.answered["topic"]["test"].answers.n_rows == len(test) - 1


def test_a_multilabel_task_may_have_one_label() -> None:
    rows = make_split([("so bad", "toxic"), ("so good", "|")] * 5)
    splits = {"train": rows, "dev": rows, "test": rows}
    task = Task(
        name="posts", kind="multilabel", metric="micro_f1", labels=("toxic",), splits=splits
    )

    found = by_name(make_corpus(task))

    assert found["tfidf"].predicted["posts"]["test"].shape == (10, 1)
    assert found["tfidf"].answered["posts"]["test"].score == 1.0
    assert found["majority"].answered["posts"]["test"].score == 0.0


def test_tags_are_learnt_from_the_rows_that_have_them() -> None:
    train = make_split([("w0 Bob ran", "O B-PER O")] * 3 + [("unseen x", "")])
    test = make_split([("unseen Bob", "O B-PER"), ("unseen x", "")])
    splits = {"train": train, "dev": test, "test": test}
    task = Task(
        name="ner", kind="tagging", metric="entity_f1", labels=("B-PER", "O"), splits=splits
    )

    found = by_name(make_corpus(task))["tfidf"]

    assert found.predicted["ner"]["test"][0] == ["O", "B-PER"]
    assert found.answered["ner"]["test"].given.tolist() == [True, False]


def test_values_far_from_zero_keep_their_correlation_as_short_numbers() -> None:
    rng = np.random.default_rng(0)
    values = 1.7e9 + 1e5 * rng.normal(size=400)
    rows = make_split([("some text", repr(float(value))) for value in values])
    task = Task(
        name="times", kind="regression", metric="pearson", labels=(), splits={"train": rows}
    )

    found = answer(task, "train", values + 1e5 * rng.normal(size=400))

    short = found.metric.counts(found.answers).astype(np.float32)
    assert found.score == pytest.approx(0.7, abs=0.05)
    assert found.metric.of_means(short.astype(np.float64).mean(0)) == pytest.approx(
        found.score, abs=1e-5
    )
