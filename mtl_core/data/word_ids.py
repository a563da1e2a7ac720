"""The rows of a split as word ids: texts alone, pairs of texts, and texts whose words are tagged.

A pair is one sequence, so that either text can attend to the other: by the tokenizer's own template
where it has one, else with the `<cls>` word between the two. Of a tagged text the words are given,
and the first piece of each stands for it (Devlin et al., 2019).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Encoding, Tokenizer

from mtl_core.data.targets import WordStarts
from mtl_core.data.task import Split
from mtl_core.data.tokenizer import CLS, UNKNOWN, encode_texts
from mtl_core.errors import ConfigError


@dataclass(frozen=True)
class WordIds:
    """The rows of a split.

    Args:
        ids: Of each row.
        seconds: Where the second text of each row begins; of a text alone, its end.
        starts: Of tagged texts, the word that each id begins, else -1; empty for others.
    """

    ids: Sequence[list[int]]
    seconds: Sequence[int]
    starts: Sequence[WordStarts] = ()


def encode_rows(tokenizer: Tokenizer, rows: Split, kind: str, max_words: int) -> WordIds:
    """Return the ids of each row, cut after `max_words`; of a pair, the longer text is cut."""
    if kind == "tagging":
        return _tagged(tokenizer, rows, max_words)
    if rows.seconds:
        has_template = tokenizer.post_processor is not None
        return (_by_template if has_template else _joined)(tokenizer, rows, max_words)
    ids = encode_texts(tokenizer, rows.texts, max_words)
    return WordIds(ids, [len(of_text) for of_text in ids])


def _tagged(tokenizer: Tokenizer, rows: Split, max_words: int) -> WordIds:
    special = tokenizer.post_processor is not None
    with_cut = _cutting(_with_spaces(tokenizer), max_words)
    found = with_cut.encode_batch(
        [text.split(" ") for text in rows.texts], is_pretokenized=True, add_special_tokens=special
    )
    ids, starts = [], []
    for encoding in found:
        words = encoding.word_ids
        ids.append([_known(at, special) for at in encoding.ids] or [UNKNOWN])
        starts.append(
            [
                -1 if word is None or (at and words[at - 1] == word) else word
                for at, word in enumerate(words)
            ]
            or [-1]
        )
    return WordIds(ids, [len(of_text) for of_text in ids], starts)


def _with_spaces(tokenizer: Tokenizer) -> Tokenizer:
    """Return a copy that takes each word as one in the midst of a text, as RoBERTa saw them."""
    values = json.loads(tokenizer.to_str())
    before = values["pre_tokenizer"]
    if before and before["type"] == "ByteLevel":
        before["add_prefix_space"] = True
    return Tokenizer.from_str(json.dumps(values))


def _joined(tokenizer: Tokenizer, rows: Split, max_words: int) -> WordIds:
    firsts = encode_texts(tokenizer, rows.texts, max_words)
    seconds = encode_texts(tokenizer, rows.seconds, max_words)
    ids, starts = [], []
    for first, second in zip(firsts, seconds, strict=True):
        of_first, of_second = _room(len(first), len(second), max_words - 1)
        ids.append([*first[:of_first], CLS, *second[:of_second]])
        starts.append(of_first + 1)
    return WordIds(ids, starts)


def _room(first: int, second: int, room: int) -> tuple[int, int]:
    """Return how many words of each text fit, words taken from the longer one."""
    half = room // 2
    if first + second <= room:
        return first, second
    if first <= half:
        return first, room - first
    return (room - second, second) if second <= room - half else (room - half, half)


def _by_template(tokenizer: Tokenizer, rows: Split, max_words: int) -> WordIds:
    special = tokenizer.num_special_tokens_to_add(True)
    if max_words < special + 2:
        raise ConfigError(
            f"data.max_words: found {max_words}, {special} of which are special words around the "
            f"texts of a pair; {special + 2} or more would be right"
        )
    with_cut = _cutting(tokenizer, max_words)
    pairs = list(zip(rows.texts, rows.seconds, strict=True))
    found = with_cut.encode_batch(pairs)
    return WordIds([encoding.ids for encoding in found], list(map(_second, found)))


def _second(pair: Encoding) -> int:
    """Return where the second text begins: where it has no piece, at the special word after it,
    if its type tells that from the one before."""
    places = (
        next((at for at, text in enumerate(numbers) if text == 1), None)
        for numbers in (pair.sequence_ids, pair.type_ids)
    )
    return next((at for at in places if at is not None), len(pair.ids))


def _cutting(tokenizer: Tokenizer, max_words: int) -> Tokenizer:
    """Return a copy that cuts, so that a template's last piece stays the last."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.enable_truncation(max_words, strategy="longest_first")
    return copy


def _known(word: int, special: bool) -> int:
    return UNKNOWN if word <= CLS and not special else word
