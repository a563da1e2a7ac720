"""The encoded corpus holds what was read, is made once, and survives bad files and folders."""

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest

from mtl_core.data import encoded as encoded_module
from mtl_core.data.config import DataConfig
from mtl_core.data.encoded import EncodedCorpus, encode, open_encoded
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.errors import ConfigError


def make_task(name: str, train: str, dev: str = "x", test: str = "x") -> Task:
    """A task of `text label` pairs, rows split at "/"."""
    splits = {}
    for split, rows in {"train": train, "dev": dev, "test": test}.items():
        texts = tuple(rows.split("/"))
        labels = tuple("neg" if "bad" in text else "pos" for text in texts)
        splits[split] = Split(texts=texts, labels=labels, source=f"{name}/{split}.tsv")
    return Task(name=name, labels=("neg", "pos"), splits=splits)


def make_corpus(*tasks: Task) -> Corpus:
    return Corpus(tasks=tasks, layout="folders", source="here")


@pytest.fixture
def corpus() -> Corpus:
    books = make_task(
        "books", "A good book/a bad  book", dev="a book", test="A  GOOD BOOK/a new one"
    )
    films = make_task("films", "bad film/good film good", dev="film", test="a bad book/film film")
    return make_corpus(books, films)


def count_builds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    builds: list[int] = []
    real = encoded_module.build_tokenizer

    def counting(*args: object) -> object:
        builds.append(1)
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(encoded_module, "build_tokenizer", counting)
    return builds


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


def test_words_of_dev_and_test_alone_are_unknown(corpus: Corpus, tmp_path: Path) -> None:
    data = encode(corpus, DataConfig(), tmp_path)

    new_one = data.split(0, "test").words[3:]
    assert new_one.tolist() == [data.vocabulary()["a"], 1, 1]


@pytest.mark.parametrize("tokenizer", ["word", "bpe"])
def test_words_of_a_second_text_of_train_are_known(tmp_path: Path, tokenizer: str) -> None:
    rows = Split(
        texts=("who asks", "who asks"),
        labels=("no", "yes"),
        source="pairs",
        seconds=("nobody answers", "nobody answers"),
    )
    splits = {"train": rows, "dev": rows, "test": rows}
    pairs = Task(name="pairs", labels=("no", "yes"), splits=splits)

    data = encode(make_corpus(pairs), DataConfig(tokenizer=tokenizer), tmp_path)

    assert {"nobody", "answers"} <= set(data.vocabulary())


def test_rows_know_whether_they_stand_in_train_of_any_task(corpus: Corpus, tmp_path: Path) -> None:
    data = encode(corpus, DataConfig(), tmp_path)

    assert data.split(0, "test").seen_in_train.tolist() == [True, False]
    assert data.split(1, "test").seen_in_train.tolist() == [True, False]  # in train of books
    assert data.split(0, "train").seen_in_train.tolist() == [False, False]


def test_texts_are_cut_after_max_words(corpus: Corpus, tmp_path: Path) -> None:
    data = encode(corpus, DataConfig(max_words=2), tmp_path)

    assert data.split(0, "train").lengths.tolist() == [2, 2]


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


def test_second_time_does_no_tokenizer_work(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds = count_builds(monkeypatch)

    first, second = encode(corpus, DataConfig(), tmp_path), encode(corpus, DataConfig(), tmp_path)

    assert len(builds) == 1
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize(
    "config", [DataConfig(max_words=2), DataConfig(min_count=2), DataConfig(vocabulary_size=3)]
)
def test_other_settings_are_another_file(
    corpus: Corpus, tmp_path: Path, config: DataConfig
) -> None:
    usual, other = encode(corpus, DataConfig(), tmp_path), encode(corpus, config, tmp_path)

    assert usual.path != other.path
    assert usual.fingerprint != other.fingerprint


def test_other_rows_are_another_file(corpus: Corpus, tmp_path: Path) -> None:
    changed = make_corpus(corpus.tasks[0], make_task("films", "bad film/good film"))

    assert (
        encode(corpus, DataConfig(), tmp_path).path != encode(changed, DataConfig(), tmp_path).path
    )


@pytest.mark.parametrize("damage", ["empty", "cut", "bits", "tokenizer", "label", "other"])
def test_a_damaged_file_is_made_anew(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    path = encode(corpus, DataConfig(), tmp_path / "here").path
    whole = path.read_bytes()
    words = encode(corpus, DataConfig(), tmp_path / "there").split(0, "train").words.tobytes()
    at = whole.index(words)
    broken = {
        "empty": b"",
        "cut": whole[: len(whole) // 2],
        "bits": whole[:at] + bytes(len(words)) + whole[at + len(words) :],
        "tokenizer": whole.replace(b'"film":', b'"fimm":'),
        "label": whole.replace(b'["neg", "pos"]', b'["neg", "poz"]'),
        "other": b"something else",
    }
    path.write_bytes(broken[damage])
    builds = count_builds(monkeypatch)

    data = encode(corpus, DataConfig(), tmp_path / "here")

    assert len(builds) == 1
    assert data.path.read_bytes() == whole


def test_a_label_that_train_lacks_is_the_callers_fault(tmp_path: Path) -> None:
    task = make_task("books", "good/bad", dev="good")
    odd = Split(texts=("good",), labels=("meh",), source="books/dev.tsv")
    corpus = make_corpus(Task(name="books", labels=task.labels, splits={**task.splits, "dev": odd}))

    with pytest.raises(ConfigError, match=r"books/dev\.tsv: label 'meh' does not occur in train"):
        encode(corpus, DataConfig(), tmp_path)


def test_a_named_folder_that_cannot_be_written_is_the_callers_fault(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BRANCHPOINT_CACHE", str(tmp_path / "file" / "cache"))

    with pytest.raises(ConfigError, match=r"cannot be kept here(.|\n)*set BRANCHPOINT_CACHE"):
        encode(corpus, DataConfig())


def test_without_a_writable_home_a_temporary_folder_is_used_and_said(
    corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "home").write_text("")
    monkeypatch.delenv("BRANCHPOINT_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with caplog.at_level(logging.WARNING):
        data = encode(corpus, DataConfig())

    assert data.path.parent.parent == tmp_path
    assert "cannot be kept here" in caplog.text
    assert isinstance(data, EncodedCorpus)
