"""What stands before the words of a text, and what of all its positions a head reads.

Names for plans and spaces, which a search reads before it has any use for torch: it is not imported
here.
"""

from enum import Enum


class Tokens(Enum):
    """What stands before the words of a text."""

    NONE = "none"
    CLS_WORD = "cls_word"  # the vocabulary word <cls>, at position 0
    CLS = "cls"  # a free vector without a position, one per bank of the embedding
    OWN = "own"  # the free vector of the text's task
    ALL = "all"  # the free vectors of all tasks, in their order


class TokenAttention(Enum):
    """Task tokens that the words attend to; the tokens attend to all positions."""

    ALL = "all"
    OWN = "own"  # that of the text's task
    NONE = "none"


class OtherTokens(Enum):
    """What the tokens of the other tasks are to a task."""

    FREE = "free"  # as its own
    DETACHED = "detached"  # its loss does not move them
    GATED = "gated"  # attended as far as a learned gate for each of them is open


class Readout(Enum):
    """What becomes the sentence vector."""

    MEAN = "mean"  # of the words
    FIRST = "first"  # the position of the <cls> word
    TOKEN = "token"  # the position of the CLS token, or of the task's own


class Reads(Enum):
    """What the head of a task reads."""

    TEXT = "text"  # the sentence vector
    PAIR = "pair"  # the sentence vectors of two texts, each over its own words
    WORDS = "words"  # the vector of each word


def reads_of(kind: str, readout: Readout, *, of_pairs: bool) -> Reads:
    """Return what a task of that kind reads.

    A token, or the <cls> word, has attended to both texts of a pair and is one vector; means are
    taken of each text.
    """
    if kind == "tagging":
        return Reads.WORDS
    return Reads.PAIR if of_pairs and readout is Readout.MEAN else Reads.TEXT


def head_width(d_model: int, reads: Reads) -> int:
    """Return how many numbers a head reads; of a pair both vectors, their distance and product."""
    return 4 * d_model if reads is Reads.PAIR else d_model
