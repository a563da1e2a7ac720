from pathlib import Path

import numpy as np
import pytest

from mtl_core.data.config import DataConfig
from mtl_core.data.duplicates import Repeats, find_repeats, normalise, normalise_corpus
from mtl_core.data.duplicates import seen_in_train as seen_in_train_of
from mtl_core.data.readers import read_corpus
from mtl_core.data.task import Corpus, Split, Task

# ../shared/data/README.md, "Repeated texts": test rows in the train file, in its first n - 200
# lines, and dev rows in those lines.
PUBLISHED = {
    "magazines": (169, 149, 92),
    "video": (99, 97, 51),
    "camera_photo": (72, 64, 26),
    "software": (62, 56, 38),
    "health_personal_care": (30, 30, 10),
    "sports_outdoors": (28, 26, 8),
    "dvd": (14, 11, 5),
    "baby": (14, 10, 7),
    "electronics": (12, 12, 4),
    "kitchen_housewares": (9, 9, 5),
    "music": (9, 7, 1),
    "toys_games": (8, 8, 2),
    "books": (7, 7, 3),
    "apparel": (6, 5, 5),
    "imdb": (0, 0, 0),
    "MR": (0, 0, 0),
}


def make_task(name: str, **splits: str) -> Task:
    """Each split is one word a row; an upper-case word has the label 1."""
    made = {}
    for split, words in splits.items():
        texts = tuple(words.split())
        labels = tuple(str(int(text.isupper())) for text in texts)
        made[split] = Split(texts=texts, labels=labels, source=f"{name}.{split}")
    return Task(name=name, labels=("0", "1"), splits=made)


def make_corpus() -> Corpus:
    books = make_task("books", train="a b B c", dev="a x", test="b x c z z")
    dvd = make_task("dvd", train="z q", dev="y", test="a a y w")
    return Corpus(tasks=(books, dvd), layout="folders", source="data")


@pytest.fixture(scope="module")
def real(fdu_folder: Path) -> tuple[Corpus, Repeats]:
    corpus = read_corpus(DataConfig(source=str(fdu_folder)))
    return corpus, find_repeats(corpus, normalise_corpus(corpus))


def test_texts_are_the_same_but_for_case_and_white_space() -> None:
    assert normalise(" A\tGood  book\u00a0\n") == normalise("a good BOOK") == "a good book"
    assert normalise("a good book.") != normalise("a good book")


def test_dev_and_test_rows_know_whether_any_train_split_has_them() -> None:
    seen = seen_in_train_of(make_corpus())

    assert {key: rows.tolist() for key, rows in seen.items()} == {
        ("books", "dev"): [True, False],
        ("books", "test"): [True, False, True, True, True],  # z is in train of dvd
        ("dvd", "dev"): [False],
        ("dvd", "test"): [True, True, False, False],
    }
    assert all(rows.dtype == np.bool_ for rows in seen.values())


def test_repeats_are_counted_by_hand() -> None:
    corpus = make_corpus()

    repeats = find_repeats(corpus, normalise_corpus(corpus))

    assert repeats.within == {
        ("books", "train"): 1,
        ("books", "dev"): 0,
        ("books", "test"): 1,
        ("dvd", "train"): 0,
        ("dvd", "dev"): 0,
        ("dvd", "test"): 1,
    }
    assert repeats.dev_in_train == {"books": 1, "dvd": 0}
    assert repeats.test_in_train == {"books": 2, "dvd": 0}
    assert repeats.test_in_dev == {"books": 1, "dvd": 1}
    assert repeats.test_in_train_or_dev == {"books": 3, "dvd": 1}
    assert repeats.test_in_any_train == {"books": 4, "dvd": 2}
    assert repeats.test_in_any_train_or_dev == {"books": 5, "dvd": 3}
    assert repeats.contradicting == {"books": 1, "dvd": 0}
    assert repeats.between.tolist() == [[2, 2], [2, 0]]
    assert repeats.between_train_or_dev.tolist() == [[3, 2], [2, 1]]


def test_a_pair_is_the_same_in_any_order_and_no_half_of_it() -> None:
    pair = Split(texts=("A b",), seconds=("c",), labels=("0",), source="x")
    turned = Split(texts=("c",), seconds=("a  b",), labels=("1",), source="x")
    halves = Split(texts=("c",), seconds=("d",), labels=("",), source="x")
    splits = {"train": pair, "dev": turned, "test": halves}
    task = Task(name="rte", labels=("0", "1"), splits=splits)
    corpus = Corpus(tasks=(task,), layout="glue", source="data")

    repeats = find_repeats(corpus, normalise_corpus(corpus))

    assert {key[1]: rows.tolist() for key, rows in seen_in_train_of(corpus).items()} == {
        "dev": [True],
        "test": [False],
    }
    assert (repeats.dev_in_train["rte"], repeats.test_in_train_or_dev["rte"]) == (1, 0)
    assert repeats.contradicting["rte"] == 1


def test_a_row_without_a_label_contradicts_none() -> None:
    rows = Split(texts=("a", "a"), labels=("0", ""), source="x")
    task = Task(name="one", labels=("0", "1"), splits=dict.fromkeys(("train", "dev", "test"), rows))
    corpus = Corpus(tasks=(task,), layout="folders", source="data")

    assert find_repeats(corpus, normalise_corpus(corpus)).contradicting["one"] == 0


@pytest.mark.parametrize(
    ("kind", "labels", "wanted"),
    [
        ("regression", ("4", "4.0"), 0),
        ("regression", ("4", "4.5"), 1),
        ("multilabel", ("a|b", "b|a"), 0),
        ("multilabel", ("a", "|"), 1),
    ],
)
def test_labels_contradict_by_what_they_say_not_by_how_they_are_written(
    kind: str, labels: tuple[str, str], wanted: int
) -> None:
    rows = Split(texts=("a", "A"), labels=labels, source="x")
    splits = dict.fromkeys(("train", "dev", "test"), rows)
    task = Task(name="one", kind=kind, labels=(), splits=splits)
    corpus = Corpus(tasks=(task,), layout="folders", source="data")

    assert find_repeats(corpus, normalise_corpus(corpus)).contradicting["one"] == wanted


def test_the_real_counts_of_each_task_come_out(real: tuple[Corpus, Repeats]) -> None:
    corpus, repeats = real

    counts = {
        name: (
            repeats.test_in_train_or_dev[name],
            repeats.test_in_train[name],
            repeats.dev_in_train[name],
        )
        for name in corpus.names
    }

    assert counts == PUBLISHED


def test_the_real_counts_over_all_tasks_come_out(real: tuple[Corpus, Repeats]) -> None:
    _, repeats = real

    assert sum(repeats.test_in_train.values()) == 491
    assert sum(repeats.test_in_any_train_or_dev.values()) == 559
    assert sum(repeats.contradicting.values()) == 0


def test_of_the_real_tasks_only_dvd_and_video_share_rows(real: tuple[Corpus, Repeats]) -> None:
    corpus, repeats = real

    between = repeats.between_train_or_dev.copy()
    np.fill_diagonal(between, 0)
    pairs = {
        (corpus.names[i], corpus.names[j]): int(between[i, j]) for i, j in np.argwhere(between)
    }

    assert pairs == {("dvd", "video"): 17, ("video", "dvd"): 16}


def test_the_real_rows_marked_as_seen_are_those_counted(real: tuple[Corpus, Repeats]) -> None:
    corpus, repeats = real

    seen = seen_in_train_of(corpus)

    counts = {name: int(seen[name, "test"].sum()) for name in corpus.names}
    assert counts == repeats.test_in_any_train
    assert sum(counts.values()) == 508
