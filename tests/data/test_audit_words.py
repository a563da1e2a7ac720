from pathlib import Path

import pytest

from mtl_core.data.audit_words import Words, measure_words
from mtl_core.data.config import DataConfig
from mtl_core.data.duplicates import normalise_corpus
from mtl_core.data.encode import encode
from mtl_core.data.readers import read_corpus
from mtl_core.data.task import Corpus, Split, Task

# ../shared/data/README.md: words in the first n - 200 lines of the train file (lower-cased, split
# at white space), and texts of the whole train file with more than 400 of them.
PUBLISHED = {
    "books": (19538, 148),
    "electronics": (10454, 58),
    "dvd": (20053, 194),
    "kitchen_housewares": (8934, 23),
    "apparel": (6917, 8),
    "camera_photo": (9522, 82),
    "health_personal_care": (9043, 25),
    "music": (16311, 97),
    "toys_games": (9463, 25),
    "video": (17542, 131),
    "baby": (7995, 32),
    "magazines": (10876, 50),
    "software": (10591, 100),
    "sports_outdoors": (9527, 45),
    "imdb": (25392, 275),
    "MR": (6633, 0),  # 6634 there, where Latin-1 bytes are replaced and not read
}


def make_task(name: str, **splits: list[str]) -> Task:
    made = {
        split: Split(texts=tuple(texts), labels=("0", "1"), source=f"{name}.{split}")
        for split, texts in splits.items()
    }
    return Task(name=name, labels=("0", "1"), splits=made)


def make_corpus() -> Corpus:
    books = make_task("books", train=["A b  a", "c d e f"], dev=["a z", "b"], test=["q a", "b c"])
    dvd = make_task("dvd", train=["q", "r a"], dev=["q", "Q"], test=["b r x x", "e e f g h"])
    return Corpus(tasks=(books, dvd), layout="folders", source="data")


def measure(corpus: Corpus, config: DataConfig, cache: Path | None) -> Words:
    encoded = None if cache is None else encode(corpus, config, cache)
    return measure_words(corpus, normalise_corpus(corpus), config, encoded)


@pytest.mark.parametrize("is_encoded", [False, True])
def test_words_are_measured_as_by_hand(tmp_path: Path, is_encoded: bool) -> None:
    config = DataConfig(max_words=3)

    words = measure(make_corpus(), config, tmp_path if is_encoded else None)

    assert words.unit == "words"
    assert words.vocabulary_of == {"books": 5, "dvd": 3}  # "f" is behind the cut
    assert words.vocabulary == 7
    assert words.splits["books", "train"].lengths.tolist() == [3, 4]
    assert words.splits["books", "train"].n_cut == 1
    assert words.splits["books", "dev"].unknown_share == pytest.approx(1 / 3)  # z of a z b
    assert words.splits["books", "test"].unknown_share == 0
    assert words.splits["books", "test"].unknown_to_task_share == pytest.approx(1 / 4)  # q
    assert words.splits["dvd", "test"].n_cut == 2
    assert words.splits["dvd", "test"].unknown_share == pytest.approx(2 / 6)  # x, and f
    assert words.splits["dvd", "test"].unknown_to_task_share == pytest.approx(5 / 6)  # not r


def test_rare_words_are_unknown_once_encoded(tmp_path: Path) -> None:
    words = measure(make_corpus(), DataConfig(min_count=2), tmp_path)

    assert words.vocabulary == 1  # a
    assert words.splits["books", "train"].unknown_share == pytest.approx(5 / 7)


def test_lengths_of_bpe_are_in_pieces(tmp_path: Path) -> None:
    words = measure(make_corpus(), DataConfig(tokenizer="bpe", max_words=2), tmp_path)

    assert words.unit == "pieces"
    assert words.splits["books", "train"].lengths.tolist() == [2, 2]
    assert words.splits["books", "train"].n_cut == 2


def test_the_real_vocabularies_and_long_texts_are_those_published(fdu_folder: Path) -> None:
    corpus = read_corpus(DataConfig(source=str(fdu_folder)))
    texts = normalise_corpus(corpus)

    whole = measure_words(corpus, texts, DataConfig(max_words=100_000), None)
    cut = measure_words(corpus, texts, DataConfig(max_words=400), None)

    found = {
        name: (
            whole.vocabulary_of[name],
            cut.splits[name, "train"].n_cut + cut.splits[name, "dev"].n_cut,
        )
        for name in corpus.names
    }
    assert found == PUBLISHED


def test_texts_and_code_of_two_real_tasks_agree(fdu_folder: Path, tmp_path: Path) -> None:
    config = DataConfig(source=str(fdu_folder), tasks=("MR", "apparel"))
    corpus = read_corpus(config)

    plain, encoded = measure(corpus, config, None), measure(corpus, config, tmp_path)

    assert plain.vocabulary_of == encoded.vocabulary_of
    for key, split in plain.splits.items():
        assert split.unknown_share == pytest.approx(encoded.splits[key].unknown_share)
        own, other = split.unknown_to_task_share, encoded.splits[key].unknown_to_task_share
        assert own == pytest.approx(other)
