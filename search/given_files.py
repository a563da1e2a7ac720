"""The files that a study is given beside its data: a pretrained encoder's, and word vectors.

Models start from them, so a study goes on only with the same ones; a hash of each is kept at its
beginning.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from mtl_core.data.config import OWN
from mtl_core.data.pretrained_tokenizer import tokenizer_hash
from mtl_core.data.tokenizer import is_pretrained
from mtl_core.foreign import expanded
from mtl_core.model_folder import folder_of, model_files
from search.pretrained import PRETRAINED, absolute
from search.space import Space
from search.space_checks import combinations


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


def _hash(paths: Iterable[Path]) -> str | None:
    digest = hashlib.sha256()
    for path in paths:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
