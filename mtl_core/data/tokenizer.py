"""Texts become word ids: whole words as in the published study, byte-level BPE, or as pretrained.

The first two lower-case and learn from the texts given (train only, of the study's tasks only), and
number alike on every run: words by how often they occur, most frequent first, ties by spelling.
Ids 0, 1 and 2 are padding, unknown and <cls>; a text that spells one of these has an unknown word
there, so that only the program sets them. A pretrained tokenizer (`pretrained_tokenizer.py`) has
ids of its own.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from mtl_core.data.config import DataConfig
from mtl_core.data.pretrained_tokenizer import read_tokenizer

PADDING, UNKNOWN, CLS = 0, 1, 2
RESERVED = ("<pad>", "<unk>", "<cls>")
_NO_LIMIT = 2**31
_CHUNK = 4096  # texts encoded at a time: an `Encoding` takes far more memory than its ids


def build_tokenizer(texts: Iterable[str], config: DataConfig) -> Tokenizer:
    """Return the tokenizer of `config.tokenizer`, learnt from `texts` unless it is pretrained.

    `vocabulary_size` counts without the three reserved ids; `min_count` is for words the
    occurrences below which one is unknown, for BPE those below which two pieces are not merged.
    """
    if is_pretrained(config):
        return read_tokenizer(config)
    return LEARNT[config.tokenizer](texts, config)


def is_pretrained(config: DataConfig) -> bool:
    return config.tokenizer not in LEARNT


def encode_texts(
    tokenizer: Tokenizer | str, texts: Sequence[str], max_words: int
) -> list[list[int]]:
    """Return the ids of each text, cut after `max_words`; a text without words is one unknown.

    A pretrained tokenizer puts its special words around each text and cuts as it was told to.

    Args:
        tokenizer: A tokenizer, or its JSON.
    """
    learnt = Tokenizer.from_str(tokenizer) if isinstance(tokenizer, str) else tokenizer
    rows: list[list[int]] = []
    if not has_reserved_ids(learnt):
        encoded = map(learnt.encode_batch_fast, _chunks(texts))
        return [encoding.ids for chunk in encoded for encoding in chunk]
    for chunk in _chunks(texts):
        for encoding in learnt.encode_batch_fast(chunk, add_special_tokens=False):
            ids = encoding.ids[:max_words]
            rows.append([UNKNOWN if word <= CLS else word for word in ids] or [UNKNOWN])
    return rows


def has_reserved_ids(tokenizer: Tokenizer) -> bool:
    """Whether ids 0, 1 and 2 are what they are here: the tokenizer was learnt by this program."""
    return all(tokenizer.token_to_id(word) == at for at, word in enumerate(RESERVED))


def special_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """Return the ids that stand for no word: padding, unknown, and those put around texts."""
    if has_reserved_ids(tokenizer):
        return frozenset((PADDING, UNKNOWN, CLS))
    added = tokenizer.get_added_tokens_decoder().items()
    unknown = tokenizer.token_to_id(getattr(tokenizer.model, "unk_token", None) or "")
    special = {at for at, token in added if token.special} | set(tokenizer.encode("").ids)
    return frozenset(special if unknown is None else special | {unknown})


def vocabulary_of(tokenizer: Tokenizer | str) -> dict[str, int]:
    """Return the words that have an id of their own; of BPE, the pieces that begin a word."""
    learnt = Tokenizer.from_str(tokenizer) if isinstance(tokenizer, str) else tokenizer
    ids = {piece: at for piece, at in learnt.get_vocab().items() if at > CLS}
    if not isinstance(learnt.model, models.BPE):
        return ids
    decoder = decoders.ByteLevel()
    return {decoder.decode([p]).lstrip(): at for p, at in ids.items() if p.startswith("Ġ")}


def _word_level(texts: Iterable[str], config: DataConfig) -> Tokenizer:
    counted = _split_at_white_space(models.WordLevel(unk_token=RESERVED[UNKNOWN]))
    trainer = trainers.WordLevelTrainer(
        vocab_size=_NO_LIMIT, min_frequency=config.min_count, special_tokens=[], show_progress=False
    )
    counted.train_from_iterator(texts, trainer)
    by_count = sorted((at, word) for word, at in counted.get_vocab().items())
    words = [word for _, word in by_count if word not in RESERVED][: config.vocabulary_size]
    ids = {word: at for at, word in enumerate((*RESERVED, *words))}
    return _split_at_white_space(models.WordLevel(ids, unk_token=RESERVED[UNKNOWN]))


def _split_at_white_space(model: models.Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def _byte_pairs(texts: Iterable[str], config: DataConfig) -> Tokenizer:
    texts = list(texts)
    tokenizer = Tokenizer(models.BPE(unk_token=RESERVED[UNKNOWN]))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    size = _most_pieces(texts) if config.vocabulary_size is None else config.vocabulary_size
    trainer = trainers.BpeTrainer(
        vocab_size=size + len(RESERVED),
        min_frequency=config.min_count,
        special_tokens=list(RESERVED),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _most_pieces(texts: Iterable[str]) -> int:
    """Return a number of pieces that no merging exceeds; the trainer reserves room for as many."""
    words = {word for text in texts for word in text.split()}
    return 256 + sum(len(word.encode()) for word in words)


LEARNT: dict[str, Callable[[Iterable[str], DataConfig], Tokenizer]] = {
    "word": _word_level,
    "bpe": _byte_pairs,
}


def _chunks(texts: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(texts)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
