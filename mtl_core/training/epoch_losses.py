"""The losses of an epoch, summed step by step for each task.

Shapes: K tasks, k of them in a step.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_core.data.minibatch import Step
from mtl_core.training.results import Diverged


class EpochLosses:
    """Sums of the losses of each task since the epoch began.

    Args:
        names: The K tasks.
        totals: To go on from, (K,); nothing where an epoch begins.
    """

    def __init__(self, names: Sequence[str], totals: Sequence[float] = ()) -> None:
        self.names = names
        self._totals = list(totals) or [0.0] * len(names)
        self._unread: list[
            tuple[list[int], Tensor]
        ] = []  # on a GPU, which would have to be waited for

    def add(self, tasks: list[int], losses: Tensor, values: Sequence[float]) -> None:
        """Add the losses of a step's tasks, (k,); `values` are the same, where they are known."""
        if values:
            self._add(tasks, values)
        else:
            self._unread.append((tasks, losses))

    def totals(self) -> list[float]:
        """Return the sums, (K,); a GPU is waited for once."""
        if self._unread:
            values = torch.cat([losses for _, losses in self._unread]).tolist()
            self._add([task for tasks, _ in self._unread for task in tasks], values)
            self._unread.clear()
        return self._totals.copy()

    def means(self, steps: Sequence[Step]) -> list[float]:
        """Return the mean of each task over the steps in which it was, (K,)."""
        counts = [0] * len(self.names)
        for step in steps:
            for row in step:
                counts[row.task] += 1
        return [total / count for total, count in zip(self.totals(), counts, strict=True)]

    def check(self, tasks: Sequence[int], losses: Sequence[float], when: str) -> None:
        """Raise `Diverged` where one of the losses, of these tasks, is infinite or no number."""
        wrong = [
            f"{self.names[task]} {loss}"
            for task, loss in zip(tasks, losses, strict=True)
            if not math.isfinite(loss)
        ]
        if wrong:
            raise Diverged(f"{when}: the loss is no finite number ({', '.join(wrong)})")

    def _add(self, tasks: Sequence[int], values: Sequence[float]) -> None:
        for task, value in zip(tasks, values, strict=True):
            self._totals[task] += value
