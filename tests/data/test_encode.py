"""A corpus is encoded once, by what train tells, and survives bad files and folders."""

import logging
from pathlib import Path

import pytest
from books_and_films import books_and_films, make_corpus, make_task

from mtl_core.data import encode as encode_module
from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.errors import ConfigError


@pytest.fixture
def corpus() -> Corpus:
    return books_and_films()


def count_builds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    builds: list[int] = []
    real = encode_module.build_tokenizer

    def counting(*args: object) -> object:
        builds.append(1)
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(encode_module, "build_tokenizer", counting)
    return builds


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
