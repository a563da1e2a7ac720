"""Texts without labels beside a study's tasks, to learn words from: split as the train texts are.

FDU-MTL has `NAME.task.unlabel`; beside any other train file may be `unlabelled.txt` or
`unlabelled.tsv`, one text a line. Such a file may be raw where the train texts are tokenised (14 of
the 16 of FDU-MTL are): each file is taken as it is or with its marks split off, whichever leaves
fewer unknown words. Texts that stand in dev or test of any task are left out.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from mtl_core.data.fdu import TRAIN
from mtl_core.data.lines import read_lines
from mtl_core.data.task import Corpus
from mtl_core.data.tokenizer import UNKNOWN, encode_texts

FDU_END = ".task.unlabel"
NAMES = ("unlabelled.txt", "unlabelled.tsv")
_NO_LIMIT = 2**31

# As the Penn Treebank is tokenised (Marcus et al., 1993), and with it most old corpora.
_MARKS = (
    (re.compile(r'(^|(?<=[\s(\[{<]))"'), " `` "),
    (re.compile(r'"'), " '' "),
    (re.compile(r"\.\.+"), " ... "),
    (re.compile(r"--+"), " -- "),
    (re.compile(r"([;@#$%&?!()\[\]{}<>*=]|[,:](?!\d))"), r" \1 "),
    (re.compile(r"(?<=[^\s.])\.(?=\s|$|'')"), " . "),
    (re.compile(r"(?i)(?<=\w)(n't|'(?:s|m|d|re|ve|ll))(?!\w)"), r" \1 "),
    (re.compile(r"(^|\s)'(?=\w{3})"), r"\1` "),
    (re.compile(r"(?<=[^\s'`])'(?=\s|$)"), " ' "),
)


def read_unlabelled(corpus: Corpus, tokenizer: Tokenizer) -> list[list[int]]:
    """Return the word ids of the texts without labels of a corpus's tasks, unknown words too.

    Raises:
        ConfigError: A file cannot be read.
    """
    held_out = {_plain(text) for text in _held_out(corpus)}
    ids: list[list[int]] = []
    for path in unlabelled_files(corpus):
        lines = [line for line in read_lines(path)[0] if line.strip()]
        ids += _encode([line for line in lines if _plain(line) not in held_out], tokenizer)
    return ids


def unlabelled_files(corpus: Corpus) -> list[Path]:
    """Return the files that there are beside the tasks' train files, in the order of the tasks."""
    trains = [Path(task.splits["train"].source) for task in corpus.tasks]
    paths = dict.fromkeys(path for train in trains for path in _beside(train))
    return [path for path in paths if path.is_file()]


def _beside(train: Path) -> list[Path]:
    if not train.is_file():  # of the built-in corpus, or a data set of the hub
        return []
    if train.name.endswith(TRAIN):
        return [train.with_name(train.name.removesuffix(TRAIN) + FDU_END)]
    return [train.with_name(name) for name in NAMES]


def split_marks(text: str) -> str:
    """Return a text with punctuation and contractions split off, as `did n't , or ?`."""
    for pattern, replacement in _MARKS:
        text = pattern.sub(replacement, text)
    return text


def _encode(texts: Sequence[str], tokenizer: Tokenizer) -> list[list[int]]:
    found = [
        encode_texts(tokenizer, list(way), _NO_LIMIT) for way in (texts, map(split_marks, texts))
    ]
    return min(found, key=_unknown_share)


def _unknown_share(ids: Sequence[Sequence[int]]) -> float:
    n_words = sum(map(len, ids))
    return sum(word == UNKNOWN for text in ids for word in text) / max(n_words, 1)


def _held_out(corpus: Corpus) -> Iterable[str]:
    for task in corpus.tasks:
        for name, split in task.splits.items():
            if name != "train":
                yield from (*split.texts, *split.seconds)


def _plain(text: str) -> str:
    """Return what is left of a text however it was tokenised: its letters and digits."""
    return re.sub(r"\W+", "", text.lower())
