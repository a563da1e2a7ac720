"""The best epochs of a training: for the mean of the tasks, and for each task.

The parameters of an epoch are copied once, however many tasks have their best there, and are let go
when no task has it any more.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

AVERAGE = "average"


@dataclass(frozen=True, kw_only=True)
class Best:
    """An epoch (from 1), its dev score, and the parameters it ended with, on the CPU."""

    epoch: int
    score: float
    state: dict[str, Tensor]


class BestEpochs(dict[str, Best]):
    """Keys: "average" and the task names; of equal scores the earliest epoch stays."""

    def note(
        self, epoch: int, scores: Mapping[str, float], copy: Callable[[], dict[str, Tensor]]
    ) -> None:
        """Take in the scores of an epoch; `copy` is called where one of them is the best so far."""
        better = [key for key, s in scores.items() if key not in self or s > self[key].score]
        if not better:
            return
        state = copy()
        for key in better:
            self[key] = Best(epoch=epoch, score=scores[key], state=state)

    @staticmethod
    def of(
        scores: Mapping[str, Mapping[str, Any]], read: Callable[[int], dict[str, Tensor]]
    ) -> "BestEpochs":
        """Return what was kept, from "epoch" and "score" by key; `read` gives an epoch's state."""
        states = {epoch: read(epoch) for epoch in {entry["epoch"] for entry in scores.values()}}
        best = BestEpochs()
        for key, entry in scores.items():
            epoch = entry["epoch"]
            best[key] = Best(epoch=epoch, score=entry["score"], state=states[epoch])
        return best

    def states(self) -> dict[int, dict[str, Tensor]]:
        """Return the parameters kept, by epoch."""
        return {best.epoch: best.state for best in self.values()}
