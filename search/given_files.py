"""The files that a study is given beside its data: a pretrained encoder's, and word vectors.

Models start from them, so both must go with the space, and a study goes on only with the same ones:
a hash of each is kept at its beginning.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from mtl_core.data.config import OWN
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.pretrained_tokenizer import tokenizer_hash
from mtl_core.data.tokenizer import is_pretrained
from mtl_core.data.vectors import Coverage, coverage, vectors_for
from mtl_core.errors import ConfigError
from mtl_core.foreign import expanded
from mtl_core.model.config import EncoderConfig
from mtl_core.model_folder import folder_of, model_files
from search.pretrained import PRETRAINED, absolute
from search.space import Space
from search.space_checks import combinations

TRAINING_VECTORS = "training word vectors on the study's own texts, unless they are in the cache"


def hashes_of_files(space: Space) -> dict[str, str]:
    """Return a hash of what each key names; what is not there is left out, others tell of it.

    Raises:
        ConfigError: A folder cannot be had.
    """
    found: dict[str, str | None] = {}
    (values,) = combinations(space.conditional, (PRETRAINED,))  # all trials share one
    if values[PRETRAINED] is not None:
        folder = folder_of(absolute(values[PRETRAINED]), PRETRAINED)
        found[PRETRAINED] = _hash(model_files(folder))
    elif is_pretrained(space.data):
        found["data.tokenizer"] = tokenizer_hash(space.data)
    if space.data.vectors not in (None, OWN):
        found["data.vectors"] = _hash([expanded(str(space.data.vectors))])
    return {key: value for key, value in found.items() if value is not None}


def check_vectors(space: Space, encoded: EncodedCorpus, path: Path | None) -> Coverage | None:
    """Return how much of the corpus the word vectors of `path` cover; None where there is none.

    Raises:
        ConfigError: The file is at fault, or its vectors are not as wide as the encoder's.
    """
    if path is None:
        return None
    matrix, found = vectors_for(encoded, path)
    chosen = combinations(space.conditional, ("encoder.d_word",))
    widths = {values.get("encoder.d_word", EncoderConfig().d_word) for values in chosen}
    wrong = sorted(widths - {matrix.shape[1]})
    if wrong:
        raise ConfigError(
            f"{path}: its vectors have {matrix.shape[1]} numbers, encoder.d_word is "
            f"{', '.join(map(str, wrong))}; encoder.d_word: {matrix.shape[1]} would be right"
        )
    if not (covered := coverage(encoded, found)).types_found:
        none = f"{path}: has a vector for none of the {covered.types:,} words of the texts"
        raise ConfigError(
            f"{none}; a file of these words, spelt as by data.tokenizer, would be right"
        )
    return covered


def check_encoder(space: Space, encoded: EncodedCorpus) -> None:
    """Raise `ConfigError` where models cannot start from the pretrained encoder of the space."""
    (values,) = combinations(space.conditional, (PRETRAINED,))  # all trials share one
    if values[PRETRAINED] is None:
        return
    from mtl_core.training.models import check_pretrained  # brings torch

    check_pretrained(encoded, absolute(values[PRETRAINED]))


def _hash(paths: Iterable[Path]) -> str | None:
    digest = hashlib.sha256()
    for path in paths:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
