"""Texts, pairs and tagged texts become ids, with the places of second texts and of words."""

import pytest
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from mtl_core.data.config import DataConfig
from mtl_core.data.task import Split
from mtl_core.data.tokenizer import CLS, UNKNOWN, build_tokenizer
from mtl_core.data.word_ids import encode_rows
from mtl_core.errors import ConfigError


@pytest.fixture(params=["word", "bpe"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return build_tokenizer(["a b c d e"], DataConfig(tokenizer=request.param))


def rows(*texts: str, seconds: tuple[str, ...] = ()) -> Split:
    return Split(texts=texts, labels=("x",) * len(texts), source="t.tsv", seconds=seconds)


def read(tokenizer: Tokenizer, ids: list[int]) -> str:
    return "".join("|" if at == CLS else tokenizer.id_to_token(at).lstrip("Ġ") for at in ids)


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ("a b", "c", "ab|c"),
        ("a b c d e", "a", "abcd|a"),  # the longer text is cut
        ("a", "a b c d e", "a|abcd"),
        ("a b c d e", "e d c b a", "abc|ed"),
    ],
)
def test_a_pair_is_one_sequence_that_fits(
    first: str, second: str, wanted: str, tokenizer: Tokenizer
) -> None:
    found = encode_rows(tokenizer, rows(first, seconds=(second,)), "classification", 6)

    assert read(tokenizer, found.ids[0]) == wanted
    assert found.seconds == [wanted.index("|") + 1]


def test_a_text_alone_has_its_second_text_at_its_end(tokenizer: Tokenizer) -> None:
    found = encode_rows(tokenizer, rows("a b", "c"), "regression", 6)

    assert found.seconds == [2, 1]
    assert not found.starts


def test_each_word_of_a_tagged_text_begins_once(tokenizer: Tokenizer) -> None:
    found = encode_rows(tokenizer, rows("a <cls> abc d"), "tagging", 50)

    starts = [word for word in found.starts[0] if word >= 0]
    assert starts == [0, 1, 2, 3]
    assert len(found.starts[0]) == len(found.ids[0])
    assert CLS not in found.ids[0]


def test_a_tagged_text_is_cut(tokenizer: Tokenizer) -> None:
    found = encode_rows(tokenizer, rows("a b c d"), "tagging", 3)

    assert found.starts == [[0, 1, 2]]
    assert UNKNOWN not in found.ids[0]


def with_template() -> Tokenizer:
    tokenizer = build_tokenizer(["a b c d e"], DataConfig())
    tokenizer.post_processor = TemplateProcessing(
        single="<cls> $A <pad>",
        pair="<cls> $A <pad> $B:1 <pad>:1",
        special_tokens=[("<cls>", 2), ("<pad>", 0)],
    )
    return tokenizer


def test_a_pair_needs_room_for_its_special_words_and_one_word_of_each_text() -> None:
    pair = rows("a b", seconds=("c d",))

    assert len(encode_rows(with_template(), pair, "classification", 5).ids[0]) == 5
    with pytest.raises(ConfigError, match=r"max_words: found 4, 3 of which are .*; 5 or more"):
        encode_rows(with_template(), pair, "classification", 4)


def test_a_template_puts_a_pair_together_and_keeps_its_end() -> None:
    tokenizer = with_template()

    found = encode_rows(tokenizer, rows("a b c d", seconds=("e",)), "classification", 6)

    tokens = [tokenizer.id_to_token(at) for at in found.ids[0]]
    assert tokens == ["<cls>", "a", "b", "<pad>", "e", "<pad>"]
    assert found.seconds == [4]


def test_a_byte_level_tokenizer_sees_the_space_before_each_word() -> None:
    from tokenizers.pre_tokenizers import ByteLevel

    tokenizer = build_tokenizer(["bcd bcd abc"], DataConfig(tokenizer="bpe"))
    in_text = encode_rows(tokenizer, rows("abc bcd"), "classification", 9).ids[0]
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)  # as RoBERTa's is saved

    tagged = encode_rows(tokenizer, rows("abc bcd"), "tagging", 9).ids[0]

    assert tagged == in_text
