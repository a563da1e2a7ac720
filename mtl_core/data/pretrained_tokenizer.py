"""The tokenizer that a pretrained encoder was trained with: the `tokenizer.json` of its folder.

It brings its vocabulary, and the special words that it puts around each text: [CLS] ... [SEP] of
BERT, <s> ... </s> of RoBERTa. Its ids are kept as they are, since they are rows of the encoder's
word table; padding is never looked at, so that any id can stand there.
"""

import hashlib
from contextlib import suppress
from itertools import islice
from pathlib import Path

from tokenizers import Encoding, Tokenizer

from mtl_core.data.config import DataConfig
from mtl_core.errors import ConfigError, suggest
from mtl_core.foreign import MOST_TOKENIZER_BYTES, check_size
from mtl_core.model_folder import TOKENIZER, folder_of, pointer_hint

WHERE = "data.tokenizer"
WORDS_TRIED = 100
_UNHEARD_OF = "\N{LINEAR B SYLLABLE B008 A}"


def read_tokenizer(config: DataConfig) -> Tokenizer:
    """Return the tokenizer, set to cut texts after `config.max_words`, special words counted.

    Raises:
        ConfigError: There is none, or the configuration asks what it cannot do.
    """
    path = _path(config)
    tokenizer = _opened(path)
    if faults := _faults(tokenizer, config, path):
        raise ConfigError(faults)
    tokenizer.no_padding()
    tokenizer.enable_truncation(config.max_words)
    return tokenizer


def marks_second_texts(path: Path) -> bool:
    """Whether the second text of a pair is of type 1, as BERT's is; else all words are of type 0.

    Raises:
        ConfigError: Types are given in another way.
    """
    tokenizer = _opened(path)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    pair = _pair_of_words(tokenizer)
    if not any(pair.type_ids):
        return False
    first = pair.sequence_ids.index(1) if 1 in pair.sequence_ids else pair.type_ids.index(1)
    if pair.type_ids != [int(at >= first) for at in range(len(pair.ids))]:
        raise ConfigError(
            f"{path}: found the types {pair.type_ids} for the words of a pair; 1 from the second "
            "text on, or 0 for all, would be right"
        )
    return True


def _pair_of_words(tokenizer: Tokenizer) -> Encoding:
    """Return two texts of a word that the tokenizer knows, or of none."""
    for word in ("a", *islice(tokenizer.get_vocab(with_added_tokens=False), WORDS_TRIED)):
        with suppress(Exception):  # it may have no piece for what it does not know
            pair = tokenizer.encode(word, word)
            if {0, 1} <= set(pair.sequence_ids):
                return pair
    return tokenizer.encode("", "")


def tokenizer_hash(config: DataConfig) -> str:
    """Return what tells its `tokenizer.json` from any other."""
    path = _path(config)
    check_size(path, MOST_TOKENIZER_BYTES)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _path(config: DataConfig) -> Path:
    if (near := suggest(config.tokenizer, ("word", "bpe"))) and not Path(config.tokenizer).is_dir():
        raise ConfigError(f"{WHERE}: found {config.tokenizer!r}{near}")
    path = folder_of(config.tokenizer, WHERE, only_tokenizer=True) / TOKENIZER
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such file; AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR) of "
            "transformers writes it"
        )
    return path


def _opened(path: Path) -> Tokenizer:
    check_size(path, MOST_TOKENIZER_BYTES)
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no more special one
        said = f"cannot be read as a tokenizer ({error}){pointer_hint(path)}"
        raise ConfigError(f"{path}: {said}") from None


def _faults(tokenizer: Tokenizer, config: DataConfig, path: Path) -> list[str]:
    faults = []
    special = tokenizer.num_special_tokens_to_add(False)
    if not special:
        faults.append(
            f"{path}: puts no special words around a text; a post_processor that does, as that of "
            "BERT, would be right"
        )
    try:
        tokenizer.encode(_UNHEARD_OF)
    except Exception as error:  # the library raises no more special one
        faults.append(
            f"{path}: has no piece for what it does not know ({error}); a vocabulary with its "
            "unk_token would be right"
        )
    if config.max_words <= special:
        faults.append(
            f"data.max_words: found {config.max_words}, {special} of which are special words of "
            f"{path}; more would be right"
        )
    for key in ("vocabulary_size", "min_count"):
        if getattr(config, key) != getattr(DataConfig, key):
            found = f"data.{key}: found {getattr(config, key)}"
            faults.append(f"{found}, but {path} has a vocabulary of its own; leave it out")
    return faults
