"""Words are numbered as stated, the same on every run, and never as a reserved id."""

import os
import subprocess
import sys

import pytest

from mtl_core.data.config import DataConfig
from mtl_core.data.tokenizer import CLS, UNKNOWN, build_tokenizer, encode_texts, vocabulary_of

TEXTS = ["b a a", "c  B\t a", "d\nc b"]  # a 3, b 3, c 2, d 1


def test_words_are_numbered_by_count_then_spelling_after_the_reserved_ids() -> None:
    tokenizer = build_tokenizer(TEXTS, DataConfig())

    assert vocabulary_of(tokenizer) == {"a": 3, "b": 4, "c": 5, "d": 6}
    assert [tokenizer.id_to_token(at) for at in range(3)] == ["<pad>", "<unk>", "<cls>"]


def test_rare_words_are_unknown_below_min_count() -> None:
    tokenizer = build_tokenizer(TEXTS, DataConfig(min_count=2))

    assert vocabulary_of(tokenizer) == {"a": 3, "b": 4, "c": 5}
    assert encode_texts(tokenizer, ["a d"], 10) == [[3, UNKNOWN]]


def test_vocabulary_size_keeps_the_most_frequent_words() -> None:
    tokenizer = build_tokenizer(TEXTS, DataConfig(vocabulary_size=2))

    assert vocabulary_of(tokenizer) == {"a": 3, "b": 4}
    assert tokenizer.get_vocab_size() == 5


def test_texts_are_lower_cased_and_split_at_any_run_of_white_space() -> None:
    tokenizer = build_tokenizer(TEXTS, DataConfig())

    assert encode_texts(tokenizer, [" A\tb \n C\xa0d\x85a "], 10) == [[3, 4, 5, 6, 3]]


def test_punctuation_stays_with_its_word() -> None:
    tokenizer = build_tokenizer(["good good, did n't"], DataConfig())

    assert set(vocabulary_of(tokenizer)) == {"good", "good,", "did", "n't"}


def test_texts_are_cut_after_max_words() -> None:
    assert encode_texts(build_tokenizer(TEXTS, DataConfig()), ["a b c d"], 3) == [[3, 4, 5]]


@pytest.mark.parametrize("kind", ["word", "bpe"])
def test_a_text_without_words_is_one_unknown_word(kind: str) -> None:
    tokenizer = build_tokenizer(TEXTS, DataConfig(tokenizer=kind))  # type: ignore[arg-type]

    assert encode_texts(tokenizer, ["", " \t "], 10)[0] == [UNKNOWN]
    assert all(len(row) > 0 for row in encode_texts(tokenizer, ["", " \t "], 10))


@pytest.mark.parametrize("kind", ["word", "bpe"])
def test_a_text_that_spells_a_reserved_word_does_not_get_its_id(kind: str) -> None:
    texts = ["<pad> <cls> <unk> a <cls>", "b <pad>"]
    tokenizer = build_tokenizer(texts, DataConfig(tokenizer=kind))  # type: ignore[arg-type]

    ids = {word for row in encode_texts(tokenizer, texts, 50) for word in row}

    assert 0 not in ids
    assert CLS not in ids


@pytest.mark.parametrize("kind", ["word", "bpe"])
def test_the_json_of_a_tokenizer_encodes_like_the_tokenizer(kind: str) -> None:
    tokenizer = build_tokenizer(TEXTS, DataConfig(tokenizer=kind))  # type: ignore[arg-type]

    assert encode_texts(tokenizer.to_str(), ["a x c"], 9) == encode_texts(tokenizer, ["a x c"], 9)


def test_many_texts_keep_their_order() -> None:
    tokenizer = build_tokenizer(TEXTS, DataConfig())
    texts = [" ".join(["a", "b", "c", "d"][: 1 + i % 4]) for i in range(10_000)]

    rows = encode_texts(tokenizer, texts, 10)

    assert [len(row) for row in rows] == [1 + i % 4 for i in range(10_000)]


def test_byte_pairs_spell_unseen_words_and_keep_frequent_ones_whole() -> None:
    tokenizer = build_tokenizer(["good film"] * 9, DataConfig(tokenizer="bpe"))

    whole, unseen = encode_texts(tokenizer, ["good film", "ñandú"], 50)

    assert len(whole) == 2
    assert len(unseen) > 2
    assert UNKNOWN not in unseen
    assert {"good", "film"} <= set(vocabulary_of(tokenizer))


def test_byte_pairs_stop_at_the_vocabulary_size() -> None:
    words = [f"{a}{b}{c}" for a in "bdfg" for b in "aeiou" for c in "lmnr"]
    config = DataConfig(tokenizer="bpe", vocabulary_size=280)

    assert build_tokenizer([" ".join(words)] * 3, config).get_vocab_size() == 283


@pytest.mark.parametrize("kind", ["word", "bpe"])
def test_training_on_many_threads_gives_the_same_tokenizer_in_every_process(kind: str) -> None:
    program = (
        "import hashlib, random\n"
        "from mtl_core.data.config import DataConfig\n"
        "from mtl_core.data.tokenizer import build_tokenizer\n"
        "r = random.Random(0)\n"
        "words = [''.join(r.choices('abcdefgh', k=r.randint(1, 7))) for _ in range(3000)]\n"
        "texts = [' '.join(r.choices(words, k=12)) for _ in range(3000)]\n"
        f"built = build_tokenizer(texts, DataConfig(tokenizer={kind!r}, vocabulary_size=900))\n"
        "print(hashlib.sha256(built.to_str().encode()).hexdigest())\n"
    )

    def run(threads: str) -> str:
        settings = {"RAYON_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "true"}
        return subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert len({run(threads) for threads in ("1", "4", "4", "3")}) == 1
