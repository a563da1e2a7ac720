"""What went wrong: inside a trial, which is a result like any other, or with its engine."""

import traceback

TRACEBACK_CHARACTERS = 8000
_MEMORY_PHRASES = ("out of memory", "can't allocate memory", "not enough memory")


class EngineLost(Exception):  # noqa: N818 - the trial is run again; it is no fault of its own
    """The engine of a trial is gone, or has begun anew and knows nothing of the trial."""


def describe_failure(error: BaseException) -> dict[str, str]:
    """Return kind (error, diverged or memory), reason in one line, and the traceback."""
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
