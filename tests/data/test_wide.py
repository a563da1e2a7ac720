"""TF-IDF of n-grams: scikit-learn's numbers, from train alone, made once."""

from pathlib import Path

import numpy as np
import pytest
from pretrained_folders import tokenizer
from sklearn.feature_extraction.text import TfidfVectorizer

from mtl_core.data import wide
from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.data.wide import ngrams_of_texts, wide_features

TRAIN = {
    "books": ("a good good book", "a bad book", "good", "not a good book at all"),
    "dvd": ("a bad film", "not a good film", "one of a kind"),
}
DEV = {
    "books": ("a good book a good book", "unheard-of words alone"),
    "dvd": ("good film", "not a bad film"),
}


@pytest.fixture
def encoded(tmp_path: Path) -> EncodedCorpus:
    return make_corpus(tmp_path, DEV)


def make_corpus(cache: Path, dev: dict[str, tuple[str, ...]]) -> EncodedCorpus:
    tasks = tuple(
        Task(
            name=name,
            labels=("bad", "good"),
            splits={
                split: Split(
                    texts=texts,
                    labels=tuple(("bad", "good")[at % 2] for at in range(len(texts))),
                    source="builtin",
                )
                for split, texts in (("train", train), ("dev", dev[name]), ("test", dev[name]))
            },
        )
        for name, train in TRAIN.items()
    )
    corpus = Corpus(tasks=tasks, layout="builtin", source="builtin")
    return encode(corpus, DataConfig(), cache)


def dense(encoded: EncodedCorpus, task: int, split: str, longest: int) -> np.ndarray:
    """Return the values without their signs, (texts, U)."""
    features = wide_features(encoded, longest)
    part = features.split(task, split)
    matrix = np.zeros((len(part.offsets) - 1, len(features.ngrams.keys)))
    for text in range(len(matrix)):
        place = slice(part.offsets[text], part.offsets[text + 1])
        matrix[text, part.ngrams[place]] = abs(part.values[place])
    return matrix


@pytest.mark.parametrize("longest", [1, 2, 3])
def test_values_are_those_of_scikit_learn(encoded: EncodedCorpus, longest: int) -> None:
    theirs = TfidfVectorizer(
        ngram_range=(1, longest), sublinear_tf=True, min_df=2, token_pattern=r"\S+"
    ).fit([text for texts in TRAIN.values() for text in texts])

    for task, name in enumerate(encoded.names):
        for split, texts in (("train", TRAIN[name]), ("dev", DEV[name])):
            found = dense(encoded, task, split, longest)
            wanted = theirs.transform(texts).toarray()
            assert found.shape == wanted.shape
            products = [matrix @ matrix.T for matrix in (found, wanted)]  # whatever the columns
            np.testing.assert_allclose(*products, rtol=1e-5, atol=1e-7)
            np.testing.assert_allclose(np.sort(found), np.sort(wanted), rtol=1e-5)


def test_a_text_without_known_ngrams_is_empty(encoded: EncodedCorpus) -> None:
    offsets = wide_features(encoded, 2).split(0, "dev").offsets

    assert offsets[1] > 0
    assert offsets[2] == offsets[1]


def test_dev_and_test_decide_nothing(encoded: EncodedCorpus, tmp_path: Path) -> None:
    other = make_corpus(tmp_path / "other", {"books": ("all at",) * 2, "dvd": ("one kind",) * 2})

    found, wanted = (wide_features(corpus, 2).ngrams.as_arrays() for corpus in (other, encoded))

    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)


def test_ngrams_of_a_task_are_those_of_its_train_texts(encoded: EncodedCorpus) -> None:
    features = wide_features(encoded, 2)

    for task in range(2):
        used = np.unique(features.split(task, "train").ngrams)
        assert np.flatnonzero(features.ngrams.in_train[task]).tolist() == used.tolist()


def test_the_features_of_fewer_tasks_are_their_own(encoded: EncodedCorpus) -> None:
    alone = wide_features(encoded.select(["dvd"]), 1)

    assert len(alone.ngrams.keys) == 2  # "a" and "film"
    assert len(alone.ngrams.in_train) == 1


def test_features_are_made_once(encoded: EncodedCorpus, monkeypatch: pytest.MonkeyPatch) -> None:
    wide_features(encoded, 2)
    wide._features.cache_clear()
    monkeypatch.setattr(wide, "_make", lambda *_: pytest.fail("made again"))

    assert len(wide_features(encoded, 2).ngrams.keys)


def test_no_ngram_reaches_over_an_unknown_word_or_into_the_next_text() -> None:
    words, offsets = np.array([5, 1, 6, 7, 5, 6], np.int32), np.array([0, 4, 6])

    texts, keys = ngrams_of_texts(words, offsets, 2, special=(0, 1, 2))

    of_one, of_two = keys[:5], keys[5:]  # 5, 6, 7, 5, 6; then 6 7 and 5 6
    assert texts.tolist() == [0, 0, 0, 1, 1, 0, 1]
    assert of_one[0] == of_one[3]
    assert of_one[1] == of_one[4]
    assert len(set(keys.tolist())) == 5
    assert len(set(of_two.tolist())) == 2


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_special_words_of_a_pretrained_tokenizer_are_in_no_ngram(
    family: str, tmp_path: Path
) -> None:
    tokenizer(family).save(str(tmp_path / "tokenizer.json"))
    split = Split(texts=("w1 w2 what", "w1 w2 what"), labels=("x", "y"), source="builtin")
    splits = dict.fromkeys(("train", "dev", "test"), split)
    task = Task(name="t", labels=("x", "y"), splits=splits)
    corpus = Corpus(tasks=(task,), layout="builtin", source="builtin")

    features = wide_features(encode(corpus, DataConfig(tokenizer=str(tmp_path)), tmp_path), 2)

    assert len(features.ngrams.keys) == 3  # w1, w2 and w1 w2
    assert features.split(0, "dev").offsets.tolist() == [0, 3, 6]


def test_the_order_of_words_matters() -> None:
    offsets = np.array([0, 2])

    first, second = (
        ngrams_of_texts(np.array(words, np.int32), offsets, 2, special=())[1][-1]
        for words in ([5, 6], [6, 5])
    )

    assert first != second
