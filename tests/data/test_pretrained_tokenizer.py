"""The tokenizer of a pretrained encoder: special words, the cut, ids as they are, and faults."""

import json
from pathlib import Path

import pytest
from pretrained_folders import tokenizer
from tokenizers import Tokenizer, models, processors

from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.pretrained_tokenizer import marks_second_texts
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.data.tokenizer import build_tokenizer, encode_texts
from mtl_core.errors import ConfigError


@pytest.fixture(params=["bert", "roberta"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    made = tokenizer(request.param)
    made.enable_padding(length=9)  # as some files of sentence encoders ask for
    made.enable_truncation(3)
    made.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def encoded(folder: Path, texts: list[str], max_words: int = 6) -> list[list[str]]:
    made = build_tokenizer([], DataConfig(tokenizer=str(folder), max_words=max_words))
    words = {number: word for word, number in made.get_vocab().items()}
    return [[words[number] for number in row] for row in encode_texts(made, texts, max_words)]


def test_special_words_stand_around_each_text_and_count(folder: Path) -> None:
    first, last, unknown = (
        ("<s>", "</s>", "<unk>")
        if Tokenizer.from_file(str(folder / "tokenizer.json")).token_to_id("<s>") == 0
        else ("[CLS]", "[SEP]", "[UNK]")
    )

    rows = encoded(folder, ["w1 w2", "", "w1 what", "w0 w1 w2 w3 w4 w5 w6"])

    assert rows == [
        [first, "w1", "w2", last],
        [first, last],
        [first, "w1", unknown, last],
        [first, "w0", "w1", "w2", "w3", last],
    ]


def test_the_encoded_corpus_follows_the_tokenizer_and_not_its_folder_s_name(
    folder: Path, tmp_path: Path
) -> None:
    split = Split(texts=("w1 w2", "w3"), labels=("a", "b"), source="builtin")
    task = Task(name="t", labels=("a", "b"), splits=dict.fromkeys(("train", "dev", "test"), split))
    corpus = Corpus(tasks=(task,), layout="builtin", source="builtin")
    other = tmp_path / "other"
    other.mkdir()
    text = (folder / "tokenizer.json").read_text()
    (other / "tokenizer.json").write_text(text)

    first = encode(corpus, DataConfig(tokenizer=str(folder)), tmp_path)
    second = encode(corpus, DataConfig(tokenizer=str(other)), tmp_path)
    (other / "tokenizer.json").write_text(text.replace('"w19"', '"other"'))
    third = encode(corpus, DataConfig(tokenizer=str(other)), tmp_path)

    assert first.path == second.path != third.path
    assert first.vocabulary_size == 24
    assert first.split(0, "train").lengths.tolist() == [4, 3]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"max_words": 2}, "data.max_words: found 2, 2 of which are special words of .*; more"),
        ({"min_count": 2}, "data.min_count: found 2, but .* has a vocabulary of its own"),
        ({"vocabulary_size": 9}, "data.vocabulary_size: found 9, but .* leave it out"),
    ],
)
def test_what_a_fixed_vocabulary_cannot_do_is_refused(
    changes: dict[str, int], fault: str, folder: Path
) -> None:
    with pytest.raises(ConfigError, match=fault):
        build_tokenizer([], DataConfig(tokenizer=str(folder), **changes))


def test_a_folder_without_a_tokenizer_says_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tokenizer.json: no such file; AutoTokenizer\."):
        build_tokenizer([], DataConfig(tokenizer=str(tmp_path)))


def test_a_damaged_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps({"version": "1.0"}))

    with pytest.raises(ConfigError, match=r"tokenizer.json: cannot be read as a tokenizer"):
        build_tokenizer([], DataConfig(tokenizer=str(tmp_path)))


def test_a_tokenizer_without_a_piece_for_unknown_words_is_refused(tmp_path: Path) -> None:
    values = json.loads(tokenizer("bert").to_str())
    values["model"]["unk_token"] = "[UNKNOWN]"
    (tmp_path / "tokenizer.json").write_text(json.dumps(values))

    with pytest.raises(ConfigError, match=r"has no piece for what it does not know \(.*unk_token"):
        build_tokenizer([], DataConfig(tokenizer=str(tmp_path)))


def test_a_tokenizer_without_special_words_is_refused(tmp_path: Path) -> None:
    made = tokenizer("bert")
    made.post_processor = processors.ByteLevel()
    made.save(str(tmp_path / "tokenizer.json"))

    with pytest.raises(ConfigError, match="puts no special words around a text"):
        build_tokenizer([], DataConfig(tokenizer=str(tmp_path)))


def test_a_misspelt_name_is_no_name_on_the_hub() -> None:
    with pytest.raises(ConfigError, match=r"data.tokenizer: found 'wrod', did you mean 'word'"):
        build_tokenizer([], DataConfig(tokenizer="wrod"))


def test_types_are_found_whatever_words_the_tokenizer_knows(tmp_path: Path) -> None:
    words = {"[CLS]": 0, "[SEP]": 1, "\u03b1": 2}
    for model in (models.BPE(words, []), models.WordLevel(words, unk_token="[UNK]")):
        made = Tokenizer(model)
        made.post_processor = processors.BertProcessing(("[SEP]", 1), ("[CLS]", 0))
        made.save(str(tmp_path / "tokenizer.json"))

        assert marks_second_texts(tmp_path / "tokenizer.json")


def test_types_that_begin_elsewhere_than_the_second_text_are_refused(tmp_path: Path) -> None:
    made = tokenizer("bert")
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP]:1 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    made.save(str(tmp_path / "tokenizer.json"))

    with pytest.raises(ConfigError, match=r"tokenizer.json: found the types \[0, 0, 1, 1, 1\]"):
        marks_second_texts(tmp_path / "tokenizer.json")
