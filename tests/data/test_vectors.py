"""Word vectors are read for the words of a vocabulary, and bad files are named by line."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from pretrained_folders import tokenizer

from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.data.vectors import Coverage, coverage, read_vectors, vectors_for
from mtl_core.errors import ConfigError

VOCABULARY = {"good": 3, "bad": 4, "film": 5}
GLOVE = "the 9 9 9\ngood 0.5 -1 2e-1\nnaïve 1 1 1\nfilm 1 2 3\ngood 7 7 7\n"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "vectors.txt"
    path.write_bytes(text.encode())
    return path


def test_vectors_stand_at_their_ids_and_words_without_one_are_not_found(tmp_path: Path) -> None:
    matrix, found = read_vectors(write(tmp_path, GLOVE), VOCABULARY)

    assert found.tolist() == [False, False, False, True, False, True]
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix[3], [0.5, -1, 0.2], rtol=1e-6)  # the first of two
    assert matrix[5].tolist() == [1, 2, 3]
    assert not matrix[4].any()


def test_the_matrix_has_a_row_for_every_id_of_the_corpus(tmp_path: Path) -> None:
    matrix, found = read_vectors(write(tmp_path, GLOVE), VOCABULARY, n_words=9)

    assert matrix.shape == (9, 3)
    assert found.shape == (9,)


def test_word2vec_with_its_first_line_is_the_same(tmp_path: Path) -> None:
    plain = read_vectors(write(tmp_path, GLOVE), VOCABULARY)

    headed = read_vectors(write(tmp_path, "5 3\n" + GLOVE.replace("\n", " \n")), VOCABULARY)

    assert headed[0].tolist() == plain[0].tolist()


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    plain = read_vectors(write(tmp_path, GLOVE), VOCABULARY)

    for text in (GLOVE, f"5 3\n{GLOVE}"):
        marked = read_vectors(write(tmp_path, f"\ufeff{text}"), VOCABULARY)
        assert marked[0].tolist() == plain[0].tolist()


@pytest.mark.parametrize("name", ["vectors.txt.gz", "vectors.txt"])
def test_a_gzipped_file_is_known_by_its_bytes(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(GLOVE.encode()))

    assert read_vectors(tmp_path / name, VOCABULARY)[1].sum() == 2


def test_a_word_may_hold_spaces(tmp_path: Path) -> None:
    path = write(tmp_path, "good 1 2\n. . . 3 4\nat me@here.org 5 6\n")

    matrix, found = read_vectors(path, {". . .": 0, "at me@here.org": 1})

    assert found.all()
    assert matrix.tolist() == [[3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("good 1 2\nfilm 1\n", r"vectors\.txt, line 2: 1 numbers after the word, not 2"),
        ("good 1 2\nfilm 1 2 3\n", r"vectors\.txt, line 2: 3 numbers after the word, not 2"),
        ("2 3\ngood 1 2\n", r"vectors\.txt, line 2: 2 numbers after the word, not 3"),
        ("good 1 2\n\n", r"vectors\.txt, line 2: 0 numbers"),
        ("good 1 x2\n", r"vectors\.txt, line 1: 'x2' is no number"),
        ("film 1 nan\n", r"vectors\.txt, line 1: 'nan' is no number"),
        ("good\n", r"vectors\.txt, line 1: 0 numbers after the word, not any"),
        ("", r"vectors\.txt: has no word vectors"),
        ("good\t1\t2\n", r"line 1: tabs between word and numbers; one space would be right"),
        ("2\t2\ngood 1 2\n", r"line 1: tabs between word and numbers"),
        ("good 1 2\nfilm,3,4\n", r"line 2: commas between word and numbers; one space would"),
        ("good  1 2\n", r"line 1: two spaces in a row; one space between word and numbers"),
        ("2 2\ngood  1 2\n", r"line 2: two spaces in a row; one space"),
        ("good\t1 2 3\n", r"line 1: tabs between word and numbers; one space would be right"),
        ("good 1e39 2\n", r"line 1: '1e39' is no number that float32 holds"),
        ("new york 1 2\ngood 1 2\n", r"line 1: 'york' is no number"),
        ("2 2\ngood \0 \n", r"line 2: no text, as of a packed or binary file; text, or that gz"),
    ],
)
def test_malformed_files_are_named_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_vectors(write(tmp_path, text), VOCABULARY)


def test_all_faults_are_reported_at_once_but_no_more_than_five(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_vectors(write(tmp_path, "good 1 2\n" + "x 1\n" * 9), VOCABULARY)

    assert len(caught.value.faults) == 5


@pytest.mark.parametrize(
    ("damage", "reason"),
    [("absent", "No such file or directory"), ("folder", "Is a directory"), ("cut", "Compressed")],
)
def test_a_file_that_cannot_be_read_is_the_callers_fault(
    tmp_path: Path, damage: str, reason: str
) -> None:
    path = tmp_path / "vectors.gz"
    if damage == "folder":
        path.mkdir()
    if damage == "cut":
        path.write_bytes(gzip.compress(GLOVE.encode() * 99)[:-30])

    with pytest.raises(
        ConfigError, match=rf"vectors\.gz: cannot be read as word vectors \({reason}"
    ):
        read_vectors(path, VOCABULARY)


def test_coverage_counts_types_and_running_words_of_train(tmp_path: Path) -> None:
    texts = ("good good film", "good dull plot")
    train = Split(texts=texts, labels=("a", "b"), source="")
    test = Split(texts=("unseen words",), labels=("a",), source="")
    task = Task(name="x", labels=("a", "b"), splits={"train": train, "dev": test, "test": test})
    corpus = encode(Corpus(tasks=(task,), layout="folders", source=""), DataConfig(), tmp_path)
    path = write(tmp_path, "good 1 2\nfilm 3 4\nunseen 5 6\n")

    _, found = read_vectors(path, corpus.vocabulary(), n_words=corpus.vocabulary_size)

    assert coverage(corpus, found) == Coverage(types=4, types_found=2, running=6, running_found=4)
    assert str(coverage(corpus, found)) == "2 of 4 words, 66.7% of the running words"


@pytest.mark.parametrize("pretrained", [False, True])
def test_coverage_leaves_out_what_stands_around_and_between_texts(
    pretrained: bool, tmp_path: Path
) -> None:
    rows = Split(texts=("w1 w2", "w1"), seconds=("w3", "w4 w1"), labels=("a", "b"), source="")
    splits = dict.fromkeys(("train", "dev", "test"), rows)
    task = Task(name="pairs", labels=("a", "b"), splits=splits)
    tokenizer("bert").save(str(tmp_path / "tokenizer.json"))
    config = DataConfig(tokenizer=str(tmp_path)) if pretrained else DataConfig()
    corpus = encode(Corpus(tasks=(task,), layout="folders", source=""), config, tmp_path)

    _, found = read_vectors(
        write(tmp_path, "w1 1 2\nw2 1 2\nw3 1 2\nw4 1 2\n"),
        corpus.vocabulary(),
        n_words=corpus.vocabulary_size,
    )

    assert coverage(corpus, found) == Coverage(types=4, types_found=4, running=6, running_found=6)


def test_real_vectors_are_read(data_folder: Path) -> None:
    path = data_folder / "vectors" / "glove.6B.50d.top10k.txt.gz"

    matrix, found = read_vectors(path, {"the": 0, "quinn": 1, "boring": 2})

    assert matrix.shape == (3, 50)
    assert found.tolist() == [True, True, False]


def test_a_corpus_of_bpe_pieces_has_a_row_for_those_that_begin_no_word(tmp_path: Path) -> None:
    texts = tuple(f"{word} unlike any" for word in ("abracadabra", "cadabra", "dabra", "xabra"))
    split = Split(texts=texts, labels=("a", "b", "a", "b"), source="train.tsv")
    task = Task(name="t", labels=("a", "b"), splits=dict.fromkeys(("train", "dev", "test"), split))
    config = DataConfig(tokenizer="bpe", vocabulary_size=271)  # ends in the middle of a word
    corpus = encode(Corpus(tasks=(task,), layout="folders", source="x"), config, tmp_path)
    words = sorted(corpus.vocabulary().values())

    matrix, found = vectors_for(corpus, write(tmp_path, "any 1 2\n"))

    assert words[-1] + 1 < corpus.vocabulary_size  # the case is really there
    assert (len(matrix), len(found)) == (corpus.vocabulary_size, corpus.vocabulary_size)
    assert found.sum() == 1
