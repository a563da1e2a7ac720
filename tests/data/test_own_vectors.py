"""Vectors of the study's own texts: reproducible, kept, and blind to dev and test."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pretrained_folders import tokenizer
from pydantic import ValidationError

from mtl_core.data import own_vectors
from mtl_core.data.config import DataConfig, OwnVectorsConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.own_vectors import texts_to_learn, vectors_path
from mtl_core.data.readers import read_corpus
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.data.vectors import vectors_for
from mtl_core.errors import ConfigError

pytest.importorskip("gensim", reason="gensim trains the vectors")

SETTINGS = {"dimension": 8, "min_count": 3}


def make_folder(folder: Path, *, held_out: str, unlabelled: str) -> DataConfig:
    """Write a task whose words go in pairs: `a1` with `b1`, and so on."""
    (folder / "books").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = [
        f"{' '.join(f'a{n} b{n}' for n in rng.integers(0, 6, 5))}\t{at % 2}\n" for at in range(60)
    ]
    for split, text in (("train", "".join(rows)), ("dev", held_out), ("test", held_out)):
        (folder / "books" / f"{split}.tsv").write_text(f"text\tlabel\n{text}")
    (folder / "books" / "unlabelled.txt").write_text(unlabelled)
    return DataConfig(source=str(folder), vectors="own", own_vectors=SETTINGS)  # type: ignore[arg-type]


def prepare(config: DataConfig, cache: Path) -> tuple[Corpus, EncodedCorpus]:
    corpus = read_corpus(config)
    return corpus, encode(corpus, config, cache)


def learn(config: DataConfig, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    corpus, encoded = prepare(config, cache)
    path = vectors_path(corpus, encoded, config)
    assert path is not None
    return vectors_for(encoded, path)


def test_vectors_are_the_same_on_every_run(tmp_path: Path) -> None:
    config = make_folder(tmp_path / "data", held_out="a1 b1\t0\na2 b2\t1\n", unlabelled="a1 b1\n")

    first, second = (learn(config, tmp_path / cache) for cache in ("one", "two"))

    np.testing.assert_array_equal(first[0], second[0])
    assert first[0].shape == (12 + 3, 8)
    assert first[1][3:].all()
    assert not first[1][:3].any()


def test_vectors_are_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_folder(tmp_path / "data", held_out="a1 b1\t0\na2 b2\t1\n", unlabelled="a1 b1\n")
    learn(config, tmp_path / "cache")
    monkeypatch.setattr(own_vectors, "_train", lambda *_: pytest.fail("trained again"))

    learn(config, tmp_path / "cache")


def test_other_settings_and_other_texts_are_other_vectors(tmp_path: Path) -> None:
    held_out = "a1 b1\t0\na2 b2\t1\n"
    config = make_folder(tmp_path / "data", held_out=held_out, unlabelled="a1 b1\n")
    more = make_folder(tmp_path / "more", held_out=held_out, unlabelled="a1 b3\n")
    seed = DataConfig(**{**vars(config), "own_vectors": {**SETTINGS, "seed": 1}})

    paths = {
        vectors_path(*prepare(of, tmp_path / "cache"), of) for of in (config, more, seed, config)
    }

    assert len(paths) == 3


def test_dev_and_test_texts_are_never_learnt_from(tmp_path: Path) -> None:
    first = make_folder(
        tmp_path / "first", held_out="a1 b2\t0\na2 a3\t1\n", unlabelled="a1 b1\nA1 b2!\na2 a3\n"
    )
    second = make_folder(tmp_path / "second", held_out="b5 b5\t0\nb4\t1\n", unlabelled="a1 b1\n")

    texts = [texts_to_learn(*prepare(of, tmp_path / "cache")) for of in (first, second)]
    vectors = [learn(of, tmp_path / "cache")[0] for of in (first, second)]

    assert len(texts[0]) == 60 + 1
    assert [text.tolist() for text in texts[0]] == [text.tolist() for text in texts[1]]
    np.testing.assert_array_equal(*vectors)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_of_a_pretrained_tokenizer_whole_texts_are_learnt_without_special_words(
    family: str, tmp_path: Path
) -> None:
    made = tokenizer(family)
    made.save(str(tmp_path / "tokenizer.json"))
    config = DataConfig(tokenizer=str(tmp_path), max_words=4)
    text = "w1 w2 what w3 w4 w5 w6"
    split = Split(texts=(text, "w7"), labels=("x", "y"), source="builtin")
    splits = dict.fromkeys(("train", "dev", "test"), split)
    task = Task(name="t", labels=("x", "y"), splits=splits)
    corpus = Corpus(tasks=(task,), layout="builtin", source="builtin")

    found = texts_to_learn(corpus, encode(corpus, config, tmp_path))

    words = [[made.id_to_token(at) for at in ids.tolist()] for ids in found]
    assert words == [["w1", "w2", "w3", "w4", "w5", "w6"], ["w7"]]


def test_a_count_that_no_word_has_is_refused_with_the_largest_that_one_has(tmp_path: Path) -> None:
    config = make_folder(tmp_path / "data", held_out="a1\t0\na2\t1\n", unlabelled="a1 a1 a1\n")
    counts = Counter(np.concatenate(texts_to_learn(*prepare(config, tmp_path / "cache"))).tolist())
    often = DataConfig(**{**vars(config), "own_vectors": {**SETTINGS, "min_count": 5000}})

    fault = f"data.own_vectors.min_count: found 5000, .*; at most {max(counts.values())} would be"
    with pytest.raises(ConfigError, match=fault):
        learn(often, tmp_path / "cache")


def test_a_seed_is_no_larger_than_gensim_takes() -> None:
    assert OwnVectorsConfig(seed=2**32 - 1).seed
    with pytest.raises(ValidationError, match="less than or equal to 4294967295"):
        OwnVectorsConfig(seed=2**32)


def test_a_path_is_a_path(tmp_path: Path) -> None:
    config = make_folder(tmp_path / "data", held_out="a1\t0\na2\t1\n", unlabelled="a1 b1\n")
    corpus, encoded = prepare(config, tmp_path / "cache")

    assert vectors_path(corpus, encoded, DataConfig(vectors="glove.txt")) == Path("glove.txt")
    assert vectors_path(corpus, encoded, DataConfig(vectors="~/v.txt")) == Path.home() / "v.txt"
    assert vectors_path(corpus, encoded, DataConfig()) is None
