"""What went wrong: inside a trial, which is a result like any other, or with its engine."""

import traceback
from dataclasses import dataclass
from typing import Any, Literal

TRACEBACK_CHARACTERS = 8000
_MEMORY_PHRASES = ("out of memory", "can't allocate memory", "not enough memory")


LossKind = Literal["worker", "node", "memory", "hang"]
LOSSES: dict[LossKind, str] = {
    "worker": "lost worker",
    "node": "lost node",
    "memory": "out of memory",
    "hang": "hung engine",
}
GONE = "is no longer there"  # said of an engine that a trial has not begun in
HANGS = "takes no step"  # what is said of an engine that hangs
_LOSS_PHRASES: dict[LossKind, tuple[str, ...]] = {
    "hang": (HANGS,),
    "memory": ("out_of_memory", "outofmemory", "running low on memory", "memory pressure"),
    "node": ("node has died", "node is dead", "nodedied", "node was terminated", "node failure"),
}
_OF_ENGINE, _DETAIL = "EngineLost: ", "Worker exit detail: "
_REASON_CHARACTERS = 300


class EngineLost(Exception):  # noqa: N818 - the trial goes on elsewhere; it is no fault of its own
    """The engine of a trial is gone, or has begun anew and knows nothing of the trial."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Why a trial is started again: what was lost, and what Ray knows of that, in one line.

    Args:
        of_engine: Its engine was lost, and not the client alone.
    """

    kind: LossKind
    reason: str
    of_engine: bool = False

    def as_failure(self) -> dict[str, Any]:
        """Return it as the failure of a trial that is not started again, as in the journal."""
        kind = self.kind if self.kind in ("memory", "hang") else "lost"
        return {"kind": kind, "reason": self.reason, "traceback": None}


def loss_of(error: object) -> Loss:
    """Return what an error of Ray's, or of Tune's about it, says was lost."""
    text = " ".join(str(error).split())
    words = text.lower()
    kinds = [
        kind
        for kind, phrases in _LOSS_PHRASES.items()
        if any(phrase in words for phrase in phrases)
    ]
    _, of_engine, rest = text.rpartition(_OF_ENGINE)
    _, detailed, detail = rest.rpartition(_DETAIL)
    reason = (detail if detailed else rest) or "its process is gone"
    kind = kinds[0] if kinds else "worker"
    return Loss(kind, f"{LOSSES[kind]}: {reason}"[:_REASON_CHARACTERS], bool(of_engine))


def describe_failure(error: BaseException) -> dict[str, str]:
    """Return kind (error, diverged, memory), reason in one line, and the traceback."""
    reason = " ".join(str(error).split()) or type(error).__name__
    lines = "".join(traceback.format_exception(error))
    kind = "error"
    if type(error).__name__ == "Diverged":
        kind = "diverged"
    elif _is_memory(error, reason):
        kind = "memory"
    else:
        reason = f"{type(error).__name__}: {reason}"
    return {"kind": kind, "reason": reason, "traceback": lines[-TRACEBACK_CHARACTERS:]}


def _is_memory(error: BaseException, reason: str) -> bool:
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "NoRoom"
        or any(phrase in reason.lower() for phrase in _MEMORY_PHRASES)
    )
