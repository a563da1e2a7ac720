"""The texts that a study can learn words from, in one mapped file: what engines warm up with.

Those of `own_vectors.texts_to_learn`, by id: train splits, and texts without labels; never dev or
test. The file's name is a hash of them, so it says what was learnt from.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtl_core.data.arrays import Arrays, keep_arrays, open_arrays
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.own_vectors import texts_to_learn
from mtl_core.data.task import Corpus

_ENDING = ".texts.arrow"


def texts_path(corpus: Corpus, encoded: EncodedCorpus) -> Path:
    """Return the file of the texts, beside the encoded corpus; written now if need be.

    Raises:
        ConfigError: A file of texts without labels cannot be read, or no word is known.
    """
    texts = texts_to_learn(corpus, encoded)
    arrays = _join(texts)
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(arrays[name].tobytes())
    name, folder = f"{digest.hexdigest()[:32]}{_ENDING}", encoded.path.parent
    keep_arrays(name, lambda: arrays, folder)
    return folder / name


def read_texts(path: Path) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the words of all texts, one after the other, and the offsets of the texts in them."""
    arrays = open_arrays(path)
    return arrays["words"], arrays["offsets"]


def _join(texts: Sequence[NDArray[np.int32]]) -> Arrays:
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    return {
        "words": np.concatenate(texts),
        "offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
    }
