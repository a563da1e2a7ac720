"""The epoch that a lane is in: which of its steps are done, and what they have come to.

After the last step come the dev rows. Which steps there are follows from the seed and the number of
the epoch. Shapes: K tasks.
"""

from collections.abc import Sequence
from functools import cached_property

from mtl_core.data.batches import plan_epoch
from mtl_core.data.minibatch import Step
from mtl_core.training.config import TrialConfig
from mtl_core.training.epoch_losses import EpochLosses
from mtl_core.training.evaluation import Evaluation
from mtl_core.training.surroundings import Surroundings
from mtl_core.training.updates import Update


class Epoch:
    """One epoch of a lane, from its first step on.

    Args:
        seed: Of the lane.
        number: From 1.

    Attributes:
        place: Steps that are done.
        evaluation: How far the dev rows are done after the steps; None among the steps.
        seconds: Time that it has taken since it began, or was gone on with.
    """

    def __init__(
        self, around: Surroundings, config: TrialConfig, *, seed: int, number: int
    ) -> None:
        self._around, self._config, self._seed, self.number = around, config, seed, number
        self.begin()

    def begin(self) -> None:
        """Go to the first step; the steps stay as they are, once they have been asked for."""
        self.go_to(0, ())

    def go_to(self, place: int, totals: Sequence[float]) -> None:
        """Go on after so many steps, whose losses have these sums, (K,)."""
        self.place = self._first_place = place
        self._losses = EpochLosses(self._around.corpus.names, totals)
        self.seconds = self._seconds_of_steps = 0.0
        self.evaluation: Evaluation | None = None
        if place and place == len(self.steps):
            self.evaluate()

    def evaluate(self) -> None:
        """Go to the first of the dev rows."""
        self.evaluation = Evaluation(self._around.dev, self._config.encoder.ngrams_seen)

    @cached_property
    def steps(self) -> list[Step]:
        """All of its steps."""
        around, batches = self._around, self._config.batches
        names, lengths = around.corpus.names, around.lengths
        return plan_epoch(lengths, names, batches, seed=self._seed, epoch=self.number)

    @property
    def next_steps(self) -> list[Step]:
        """The steps of the next update."""
        return self.steps[self.place : self.place + self._config.training.accumulate]

    @property
    def progress(self) -> float:
        """The share of all epochs that is done in the middle of the next update."""
        middle = self.place + len(self.next_steps) / 2
        return (self.number - 1 + middle / len(self.steps)) / self._config.training.epochs

    def totals(self) -> list[float]:
        """Return the sums of the losses so far, (K,); a GPU is waited for."""
        return self._losses.totals()

    def note_update(self, update: Update, seconds: float) -> None:
        """Take note of an update that was taken, and of the time it took.

        Raises:
            Diverged: A loss is infinite or not a number.
        """
        taken = zip(update.steps, update.losses, update.values, strict=update.done)
        for step, losses, values in taken:
            tasks = [row.task for row in step]
            if values:
                when = f"epoch {self.number}, step {self.place + 1}"
                self._losses.check(tasks, values, when)
            self._losses.add(tasks, losses, values)
            self.place += 1
        self.seconds += seconds
        self._seconds_of_steps += seconds
        if self.place == len(self.steps):
            self.evaluate()

    def mean_losses(self) -> list[float]:
        """Return the mean loss of each task over its steps, (K,); all steps are done.

        Raises:
            Diverged: One is infinite or not a number.
        """
        losses = self._losses.means(self.steps)
        self._losses.check(range(len(losses)), losses, f"epoch {self.number}")
        return losses

    def words_per_second(self) -> float:
        """Return how many words the steps took in a second, of those whose time was taken."""
        lengths, timed = self._around.lengths, self.steps[self._first_place :]
        n_words = sum(int(lengths[row.task][row.examples].sum()) for step in timed for row in step)
        return n_words / self._seconds_of_steps if self._seconds_of_steps else 0.0
