"""What a training reports: the result of an epoch, or why there is none.

An engine files them for its lanes; a `Trainer` yields the first and raises the others.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtl_core.training.task_evaluation import TaskEvaluation


@dataclass(frozen=True, kw_only=True)
class EpochResult:
    """What an epoch came to.

    Args:
        epoch: From 1.
        loss: Mean of `losses` over the tasks.
        losses: Mean cross-entropy of each task over its steps of the epoch, unweighted, in nats.
        scores: Dev metric of each task after the epoch.
        average: Mean of `scores` over the tasks.
        tokens_per_second: Words trained on, without padding, over the time of the steps.
        seconds: The whole epoch, evaluation included. Time is that of the engine's steps in which
            the lane took part; lanes that share a step each count all of it.
        ended: Why the training ends here, "patience" or "epochs"; None where it goes on.
        evaluations: What the scores come from, row by row.
    """

    epoch: int
    loss: float
    losses: dict[str, float]
    scores: dict[str, float]
    average: float
    tokens_per_second: float
    seconds: float
    ended: str | None
    evaluations: dict[str, "TaskEvaluation"] = field(
        default_factory=dict, repr=False, compare=False
    )


class Diverged(Exception):  # noqa: N818 - a way for a training to end, not a fault of the program
    """A loss is infinite or not a number; `reason` says in which epoch, step and task."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class NoRoom(Exception):  # noqa: N818 - an answer to `open`, not a fault of the program
    """One more lane does not fit into the memory that the engine may take.

    Args:
        need: What the lane would take, in bytes.
        free: What is left, in bytes.
    """

    def __init__(self, need: int, free: int) -> None:
        self.need, self.free = need, free
        super().__init__(need, free)

    def __str__(self) -> str:
        return f"no room for one more lane: it needs {self.need:,} bytes, {self.free:,} are free"
