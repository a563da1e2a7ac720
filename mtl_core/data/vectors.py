"""Word vectors from a text file, as GloVe and word2vec write them, for the words of a corpus.

One word a line, then its numbers, all split by one space; word2vec puts the number of words and the
width on a line before them. A word may itself hold spaces (a few of GloVe 840B do), so numbers are
counted from the end. The file may be gzipped. Shapes: V words, E width.
"""

import gzip
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from mtl_core.data.arrays import open_arrays
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.own_vectors import ENDING
from mtl_core.data.tokenizer import CLS, has_reserved_ids, special_ids
from mtl_core.errors import ConfigError

_MOST_FAULTS = 5  # a file of another kind has a fault in every line
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Coverage:
    """How much of the train splits has a vector in the file.

    Args:
        types, types_found: Different words of the vocabulary, and those with a vector.
        running, running_found: The same with every occurrence counted, unknown words too.
    """

    types: int
    types_found: int
    running: int
    running_found: int

    def __str__(self) -> str:
        types = f"{self.types_found:,} of {self.types:,} words"
        return f"{types}, {self.running_found / max(self.running, 1):.1%} of the running words"


def read_vectors(
    path: Path, vocabulary: dict[str, int], *, n_words: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the vectors by id, (V, E), zeros where the file has none, and which were found, (V,).

    A word that stands in the file twice keeps its first vector. The numbers of words outside the
    vocabulary are counted, not read.

    Args:
        n_words: V; one more than the largest id of `vocabulary` when None.

    Raises:
        ConfigError: The file cannot be read, or rows are malformed (with their lines).
    """
    size = max(vocabulary.values(), default=-1) + 1 if n_words is None else n_words
    faults: list[str] = []
    vectors: dict[int, NDArray[np.float32]] = {}
    width = 0
    with _opened(Path(path)) as lines:
        for number, word, values, fault in _rows(lines):
            at = vocabulary.get(word)
            if not fault and at is not None and at not in vectors:
                vectors[at], fault = _numbers(values)
            width = width or len(values)
            if fault:
                faults.append(f"{path}, line {number}: {fault}")
            if len(faults) == _MOST_FAULTS:
                break
    if faults or not width:
        raise ConfigError(faults or f"{path}: has no word vectors; a word and numbers a line")
    return _matrix(vectors, size, width)


def vectors_for(corpus: EncodedCorpus, path: Path) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return `read_vectors` for all ids of a corpus, (V, E) and (V,).

    Of BPE the last ids need not begin a word, so V is the corpus's and not the vocabulary's.

    Args:
        path: A text file, or one that `own_vectors.py` made for this corpus.
    """
    if path.name.endswith(ENDING):
        arrays = open_arrays(path)
        return arrays["matrix"], arrays["found"].view(np.bool_)
    return read_vectors(path, corpus.vocabulary(), n_words=corpus.vocabulary_size)


def coverage(corpus: EncodedCorpus, found: NDArray[np.bool_]) -> Coverage:
    """Return how much of the train splits the found words make up."""
    counts = np.zeros(corpus.vocabulary_size, dtype=np.int64)
    for task in range(corpus.n_tasks):
        words = corpus.split(task, "train").words
        counts += np.bincount(words, minlength=corpus.vocabulary_size)
    tokenizer = Tokenizer.from_str(corpus.tokenizer_json)
    counts[[CLS] if has_reserved_ids(tokenizer) else tokenizer.encode("").ids] = 0  # no text's own
    is_word = counts > 0
    is_word[list(special_ids(tokenizer))] = False
    return Coverage(
        types=int(is_word.sum()),
        types_found=int((is_word & found).sum()),
        running=int(counts.sum()),
        running_found=int(counts[is_word & found].sum()),
    )


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, plain or gzipped as its first bytes say."""
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as lines:
            yield lines  # type: ignore[misc]
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: cannot be read as word vectors ({reason})") from error


def _rows(lines: Iterable[bytes]) -> Iterator[tuple[int, str, list[bytes], str | None]]:
    """Yield line number, word, numbers, and what is wrong with the row; a header only gives E."""
    width = 0
    for number, line in enumerate(lines, start=1):
        line = line.removeprefix(BOM_UTF8) if number == 1 else line
        parts = line.rstrip().split(b" ")
        if number == 1 and len(parts) == 2 and all(part.isdigit() for part in parts):
            width = int(parts[1])
            continue
        fault = _row_fault(parts, width)
        if fault is not None:
            yield number, "", [], fault
            continue
        width = width or len(parts) - 1
        cut = len(parts) - width
        yield number, b" ".join(parts[:cut]).decode("utf-8", "replace"), parts[cut:], None


def _row_fault(parts: list[bytes], width: int) -> str | None:
    """Say what is wrong with how a row is split, or None; a width of 0 is not known yet."""
    n_numbers = len(parts) - 1
    if width and n_numbers == width:
        return None
    if any(b"\0" in part for part in parts):
        return "no text, as of a packed or binary file; text, or that gzipped, would be right"
    if (not width or n_numbers < width) and (mark := _other_mark(parts[0])):
        return f"{mark} between word and numbers; one space would be right"
    before = parts[n_numbers - width : n_numbers - width + 1] if width else parts[1:]
    if parts[0] and b"" in before:
        return "two spaces in a row; one space between word and numbers would be right"
    if n_numbers < max(width, 1) or (width and _is_number(before[0])):
        return f"{n_numbers} numbers after the word, not {width or 'any'}"
    return None if width else _numbers(parts[1:])[1]  # as many as all rows are to have


def _other_mark(word: bytes) -> str | None:
    """Return what stands in a row where spaces would; a word of GloVe may hold a comma."""
    if b"\t" in word:
        return "tabs"
    return "commas" if word.count(b",") > 1 else None


def _numbers(values: list[bytes]) -> tuple[NDArray[np.float32], str | None]:
    wrong = [value for value in values if not _is_number(value)]
    if wrong:
        shown = wrong[0].decode("utf-8", "replace")
        return np.zeros(0, np.float32), f"{shown!r:.40} is no number that float32 holds"
    return np.array(values, dtype=np.float32), None


def _is_number(value: bytes) -> bool:
    try:
        return abs(float(value)) <= _LARGEST
    except ValueError:
        return False


def _matrix(
    vectors: dict[int, NDArray[np.float32]], n_words: int, width: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    matrix, found = np.zeros((n_words, width), np.float32), np.zeros(n_words, np.bool_)
    for at, vector in vectors.items():
        matrix[at], found[at] = vector, True
    return matrix, found
