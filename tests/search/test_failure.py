"""What went wrong, told apart and in one line."""

import sys

import pytest

from mtl_core.training.results import Diverged, NoRoom
from search.failure import TRACEBACK_CHARACTERS, describe_failure


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (Diverged("the loss of books is nan"), "diverged", "the loss of books is nan"),
        (MemoryError(), "memory", "MemoryError"),
        (NoRoom(20, 10), "memory", None),
        (RuntimeError("CUDA out of memory.\nTried"), "memory", "CUDA out of memory. Tried"),
        (RuntimeError("[enforce fail] can't allocate memory"), "memory", None),
        (KeyError("books"), "error", "KeyError: 'books'"),
    ],
)
def test_failures_are_told_apart(error: Exception, kind: str, reason: str | None) -> None:
    found = describe_failure(error)

    assert found["kind"] == kind
    assert reason is None or found["reason"] == reason


def test_a_very_long_traceback_is_cut_to_its_end() -> None:
    def recurse() -> None:
        recurse()

    limit = sys.getrecursionlimit()
    with pytest.raises(RecursionError) as raised:
        recurse()
    found = describe_failure(ValueError("x" * 2 * TRACEBACK_CHARACTERS))

    assert sys.getrecursionlimit() == limit
    assert describe_failure(raised.value)["traceback"].rstrip().endswith("exceeded")
    assert len(found["traceback"]) == TRACEBACK_CHARACTERS
