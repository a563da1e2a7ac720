"""The tokenizer that a pretrained encoder was trained with: the `tokenizer.json` of its folder.

It brings its vocabulary, and the special words that it puts around each text: [CLS] ... [SEP] of
BERT, <s> ... </s> of RoBERTa. Its ids are kept as they are, since they are rows of the encoder's
word table; padding is never looked at, so that any id can stand there.
"""

import hashlib
from pathlib import Path

from tokenizers import Tokenizer

from mtl_core.data.config import DataConfig
from mtl_core.errors import ConfigError, suggest
from mtl_core.foreign import MOST_TOKENIZER_BYTES, check_size
from mtl_core.model_folder import folder_of

TOKENIZER = "tokenizer.json"
WHERE = "data.tokenizer"


def read_tokenizer(config: DataConfig) -> Tokenizer:
    """Return the tokenizer, set to cut texts after `config.max_words`, special words counted.

    Raises:
        ConfigError: There is none, or the configuration asks what it cannot do.
    """
    path = _path(config)
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no more special one
        raise ConfigError(f"{path}: cannot be read as a tokenizer ({error})") from None
    if faults := _faults(tokenizer, config, path):
        raise ConfigError(faults)
    tokenizer.no_padding()
    tokenizer.enable_truncation(config.max_words)
    return tokenizer


def tokenizer_hash(config: DataConfig) -> str:
    """Return what tells its `tokenizer.json` from any other."""
    return hashlib.sha256(_path(config).read_bytes()).hexdigest()


def _path(config: DataConfig) -> Path:
    if (near := suggest(config.tokenizer, ("word", "bpe"))) and not Path(config.tokenizer).is_dir():
        raise ConfigError(f"{WHERE}: found {config.tokenizer!r}{near}")
    path = folder_of(config.tokenizer, WHERE) / TOKENIZER
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such file; AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR) of "
            "transformers writes it"
        )
    check_size(path, MOST_TOKENIZER_BYTES)
    return path


def _faults(tokenizer: Tokenizer, config: DataConfig, path: Path) -> list[str]:
    faults = []
    special = tokenizer.num_special_tokens_to_add(False)
    if not special:
        faults.append(
            f"{path}: puts no special words around a text; a post_processor that does, as that of "
            "BERT, would be right"
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
