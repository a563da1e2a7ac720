"""Word vectors trained on the study's own texts: skip-gram with negative sampling, by gensim.

Mikolov et al. (2013). The texts are the train splits, whole, and the texts without labels beside
them (`unlabelled.py`); dev and test texts are never used. The vectors are kept beside the encoded
corpus under a hash of texts and settings. gensim is not reproducible with several workers, so one
thread trains. Shapes: V words, E width.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from mtl_core.data.arrays import Arrays, keep_arrays
from mtl_core.data.config import OWN, DataConfig, OwnVectorsConfig
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.task import Corpus
from mtl_core.data.tokenizer import encode_texts, special_ids
from mtl_core.data.unlabelled import read_unlabelled
from mtl_core.errors import ConfigError
from mtl_core.foreign import expanded

ENDING = ".vectors.arrow"
FORMAT = 1
_NO_LIMIT = 2**31


def vectors_path(corpus: Corpus, encoded: EncodedCorpus, config: DataConfig) -> Path | None:
    """Return the file of the word vectors that are asked for; own ones are trained now if need be.

    Raises:
        ConfigError: A file of texts without labels cannot be read, or no word occurs often enough.
    """
    if config.vectors != OWN:
        return None if config.vectors is None else expanded(config.vectors)
    texts = texts_to_learn(corpus, encoded)
    name = f"{_hash(texts, config.own_vectors)}{ENDING}"
    folder = encoded.path.parent
    keep_arrays(name, lambda: _train(texts, config.own_vectors, encoded.vocabulary_size), folder)
    return folder / name


def texts_to_learn(corpus: Corpus, encoded: EncodedCorpus) -> list[NDArray[np.int32]]:
    """Return the known words of all train texts, each once, and of those without labels, by id.

    Raises:
        ConfigError: A file of texts without labels cannot be read, or no word is known.
    """
    tokenizer = Tokenizer.from_str(encoded.tokenizer_json)
    special = special_ids(tokenizer)
    tokenizer.no_truncation()
    tokenizer.post_processor = None  # which puts special words around texts
    splits = [task.splits["train"] for task in corpus.tasks]
    train = chain.from_iterable((*split.texts, *split.seconds) for split in splits)
    different = list(dict.fromkeys(train))  # tasks may have one text with several labels
    ids = encode_texts(tokenizer, different, _NO_LIMIT) + read_unlabelled(corpus, tokenizer)
    texts = [np.array([word for word in text if word not in special], np.int32) for text in ids]
    learnt = [text for text in texts if len(text)]
    if not learnt:
        raise ConfigError(
            "data: no word of the train texts is known, of which word vectors or an encoder could "
            "learn; a smaller data.min_count would be right"
        )
    return learnt


def _train(texts: Sequence[NDArray[np.int32]], config: OwnVectorsConfig, n_words: int) -> Arrays:
    from gensim.models import Word2Vec

    most = max(Counter(chain.from_iterable(text.tolist() for text in texts)).values())
    if config.min_count > most:
        raise ConfigError(
            f"data.own_vectors.min_count: found {config.min_count}, but no word of the texts "
            f"occurs so often; at most {most} would be right"
        )
    sentences = [list(map(str, text.tolist())) for text in texts]
    model = Word2Vec(
        sentences,
        sg=1,
        vector_size=config.dimension,
        epochs=config.epochs,
        window=config.window,
        min_count=config.min_count,
        seed=config.seed,
        workers=1,
        hashfxn=_number,
    )
    matrix, found = np.zeros((n_words, config.dimension), np.float32), np.zeros(n_words, np.bool_)
    ids = np.array(list(map(int, model.wv.index_to_key)), dtype=np.int64)
    matrix[ids], found[ids] = model.wv.vectors, True
    return {"matrix": matrix, "found": found.view(np.uint8)}


def _number(text: str) -> int:
    """Hash a word, for gensim, alike in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")


def _hash(texts: Iterable[NDArray[np.int32]], config: OwnVectorsConfig) -> str:
    digest = hashlib.sha256(f"{FORMAT} {asdict(config)}".encode())
    for text in texts:
        digest.update(text.tobytes() + b"\xff\xff\xff\xff")
    return digest.hexdigest()[:32]
