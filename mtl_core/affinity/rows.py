"""The rows that a measurement looks at: of train for the steps, of dev for what they lead to.

A step is taken on the gradient of train rows, as in training. What it does to a task is measured on
dev rows: a task with few train rows knows them by heart after some epochs, and a step's own rows
would make a task look closer to itself than to any other. Test is never touched. Rows without a
label of the task tell nothing and are left out. Shapes: K tasks, n rows.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtl_core.data.encoded import EncodedCorpus, EncodedSplit
from mtl_core.data.minibatch import Row, Step
from mtl_core.data.targets import MISSING
from mtl_core.errors import ConfigError
from mtl_core.seeding import stream

# Of a task, at most, in one measurement. On the built-in corpus four times as many rows for the
# steps told no more; twice as many measurements did, since the weights on their way are noise too.
STEP_ROWS, LOSS_ROWS = 64, 64


class ProbeRows:
    """Draws rows of all tasks, other ones for each measurement.

    Raises:
        ConfigError: A task has no train row, or no dev row, with a label.
    """

    def __init__(self, corpus: EncodedCorpus, seed: int) -> None:
        self.corpus, self.seed = corpus, seed
        self._known = {
            split: [
                labelled_rows(corpus.split(task, split), info.kind)
                for task, info in enumerate(corpus.tasks)
            ]
            for split in ("train", "dev")
        }
        faults = [
            f"{name}: no {split} row has a label, so no affinity can be measured"
            for split, of_tasks in self._known.items()
            for name, rows in zip(corpus.names, of_tasks, strict=True)
            if not len(rows)
        ]
        if faults:
            raise ConfigError(faults)

    def for_steps(self, number: int) -> Sequence[Step]:
        """Return train rows of each task, a step for each, of the `number`-th measurement."""
        return [(self._row("train", task, STEP_ROWS, number),) for task in range(self._n_tasks)]

    def for_losses(self, number: int) -> Step:
        """Return dev rows of all tasks in one step, of the `number`-th measurement."""
        return tuple(self._row("dev", task, LOSS_ROWS, number) for task in range(self._n_tasks))

    @property
    def _n_tasks(self) -> int:
        return self.corpus.n_tasks

    def _row(self, split: str, task: int, most: int, number: int) -> Row:
        known = self._known[split][task]
        rng = stream(self.seed, "affinity", split, self.corpus.names[task], number)
        chosen = rng.choice(known, size=min(most, len(known)), replace=False)
        lengths = self.corpus.split(task, split).lengths[chosen]
        return Row(task, chosen[np.argsort(lengths, kind="stable")])


def labelled_rows(split: EncodedSplit, kind: str) -> NDArray[np.int64]:
    """Return the rows with at least one target that counts, (n,)."""
    targets = np.array(split.targets)
    given = ~np.isnan(targets) if kind == "regression" else targets > MISSING
    counts = np.concatenate([[0], np.cumsum(given)])
    return np.flatnonzero(np.diff(counts[split.target_offsets]))
