"""What went wrong, told apart and in one line."""

import sys

import pytest

from mtl_core.training.results import Diverged, NoRoom
from search.failure import LOSSES, TRACEBACK_CHARACTERS, describe_failure, loss_of


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


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        (
            "The actor died. Worker exit detail: killed by signal 9.",
            "worker",
            "killed by signal 9.",
        ),
        ("The actor died because its node has died. Node Id: ab12", "node", None),
        (
            "2 workers were killed, the node running low on memory. Worker exit detail: oom",
            "memory",
            "oom",
        ),
        ("", "worker", "its process is gone"),
    ],
)
def test_losses_are_told_apart(text: str, kind: str, reason: str | None) -> None:
    found = loss_of(text)

    assert found.kind == kind
    assert not found.of_engine
    assert reason is None or found.reason == f"{LOSSES[found.kind]}: {reason}"


def test_a_loss_of_the_engine_is_told_from_one_of_the_client() -> None:
    found = loss_of("ray::SearchTrial.train() search.failure.EngineLost: The actor died. x")

    assert found.of_engine
    assert found.reason == "lost worker: The actor died. x"
