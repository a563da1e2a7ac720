"""The texts that words are learnt from, in one file: train and unlabelled ones, never others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.own_texts import read_texts, texts_path
from mtl_core.data.readers import read_corpus
from mtl_core.errors import ConfigError

TRAIN = "good book\t1\nbad book ever\t0\n"


def write_task(folder: Path, *, held_out: str, unlabelled: str) -> DataConfig:
    (folder / "books").mkdir(parents=True)
    for split, text in (("train", TRAIN), ("dev", held_out), ("test", held_out)):
        (folder / "books" / f"{split}.tsv").write_text(f"text\tlabel\n{text}")
    (folder / "books" / "unlabelled.txt").write_text(unlabelled)
    return DataConfig(source=str(folder))


def texts_of(config: DataConfig, cache: Path) -> tuple[Path, list[list[str]]]:
    corpus = read_corpus(config)
    encoded = encode(corpus, config, cache)
    path = texts_path(corpus, encoded)
    words, offsets = read_texts(path)
    spelt = {at: word for word, at in encoded.vocabulary().items()}
    texts = np.split(words, offsets[1:-1])
    return path, [[spelt[int(word)] for word in text] for text in texts]


def test_the_file_holds_train_and_unlabelled_texts_by_their_known_words(tmp_path: Path) -> None:
    config = write_task(tmp_path / "data", held_out="bad\t0\n", unlabelled="ever good film\n")

    _, texts = texts_of(config, tmp_path / "cache")

    assert texts == [["good", "book"], ["bad", "book", "ever"], ["ever", "good"]]


def test_dev_and_test_texts_change_nothing(tmp_path: Path) -> None:
    poisoned = "good poison\t1\nbad bad bad poison\t0\n"
    first = write_task(tmp_path / "a", held_out="bad\t0\ngood\t1\n", unlabelled="ever good\n")
    second = write_task(
        tmp_path / "b", held_out=poisoned, unlabelled="ever good\nBad bad bad: poison!\n"
    )

    paths = [texts_of(config, tmp_path / "cache")[0] for config in (first, second)]

    assert paths[0] == paths[1]


def test_other_texts_are_another_file(tmp_path: Path) -> None:
    first = write_task(tmp_path / "a", held_out="bad\t0\n", unlabelled="ever good\n")
    second = write_task(tmp_path / "b", held_out="bad\t0\n", unlabelled="ever\ngood\n")

    paths = [texts_of(config, tmp_path / "cache")[0] for config in (first, second)]

    assert paths[0] != paths[1]


def test_without_a_known_word_the_message_says_what_would_be_right(tmp_path: Path) -> None:
    config = write_task(tmp_path / "data", held_out="bad\t0\n", unlabelled="ever good\n")

    with pytest.raises(ConfigError, match=r"no word of the train texts is known, .*min_count"):
        texts_of(replace(config, min_count=9), tmp_path / "cache")
