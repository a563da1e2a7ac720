"""What is read of an encoded corpus is what was written, in views of the mapped file."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from books_and_films import books_and_films

from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import open_encoded
from mtl_core.data.task import Corpus
from mtl_core.errors import ConfigError


@pytest.fixture
def corpus() -> Corpus:
    return books_and_films()


def test_rows_come_back_as_ids_labels_and_lengths(corpus: Corpus, tmp_path: Path) -> None:
    data = encode(corpus, DataConfig(), tmp_path)

    ids = data.vocabulary()
    train = data.split(0, "train")
    assert train.words.tolist() == [ids[w] for w in ("a", "good", "book", "a", "bad", "book")]
    assert train.offsets.tolist() == [0, 3, 6]
    assert train.lengths.tolist() == [3, 3]
    assert train.labels.tolist() == [1, 0]
    assert (train.words.dtype, train.offsets.dtype) == (np.int32, np.int64)
    assert len(train) == 2


def test_description_of_the_tasks_comes_back(corpus: Corpus, tmp_path: Path) -> None:
    data = encode(corpus, DataConfig(max_words=7), tmp_path)

    assert data.names == ("books", "films")
    assert data.n_classes == (2, 2)
    assert data.tasks[1].labels == ("neg", "pos")
    assert data.max_words == 7
    assert data.vocabulary_size == 3 + len({"a", "good", "book", "bad", "film"})


def test_vocabulary_of_tasks_is_that_of_their_train_splits(corpus: Corpus, tmp_path: Path) -> None:
    data = encode(corpus, DataConfig(), tmp_path)

    has, ids = data.vocabulary_of_tasks(), data.vocabulary()
    assert has.shape == (2, data.vocabulary_size)
    assert has[:, :3].all()
    assert has[:, ids["good"]].tolist() == [True, True]
    assert has[:, ids["book"]].tolist() == [True, False]
    assert has[:, ids["film"]].tolist() == [False, True]


def test_selected_tasks_keep_file_and_ids(corpus: Corpus, tmp_path: Path) -> None:
    data = encode(corpus, DataConfig(), tmp_path)

    films = data.select(["films"])

    assert films.names == ("films",)
    assert films.path == data.path
    assert films.split(0, "train").words.tolist() == data.split(1, "train").words.tolist()
    assert films.fingerprint != data.fingerprint
    assert data.select(["films", "books"]).n_classes == (2, 2)
    with pytest.raises(ConfigError, match="unknown 'film', did you mean 'films'"):
        data.select(["film"])


def test_a_pickle_is_a_path_and_opens_the_same_file(corpus: Corpus, tmp_path: Path) -> None:
    data = encode(corpus, DataConfig(), tmp_path).select(["films"])

    text = pickle.dumps(data)
    copy = pickle.loads(text)

    assert len(text) < 500
    assert copy.names == ("films",)
    assert copy.split(0, "test").words.tolist() == data.split(0, "test").words.tolist()
    assert open_encoded(data.path).names == ("books", "films")


def test_rows_are_views_of_the_mapped_file(corpus: Corpus, tmp_path: Path) -> None:
    split = encode(corpus, DataConfig(), tmp_path).split(0, "train")

    for part in (split.words, split.offsets, split.targets, split.seen_in_train):
        assert not part.flags.owndata
        assert not part.flags.writeable
