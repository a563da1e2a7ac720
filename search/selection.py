"""Which trials are good, told from dev scores that are mostly luck: estimates, winners, shortlist.

The scores are those of each trial at its epoch that is best on the study's objective, for single
tasks too: a trial's best epoch on one task alone is the luckiest of its epochs on the few rows of
that task, and no other trial is held to the same luck. They are shrunk by `pooling.py`; what noise
they have is in `noise.py`, what may be maximised in `objectives.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.record import StudyRecord

Floats = NDArray[np.float64]
STRUCTURE = "sharing.structure"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trial to confirm.

    Args:
        epoch: Its epoch that is best on the study's objective.
        roles: What it is the best of: "average", "worst_task", "task:<name>", "equal_weights",
            "single_task", "structure:<name>" (or "arm:<value>" of other arms), and "objective"
            where that is none of these.
    """

    trial: str
    epoch: int
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one trial is worth under one objective.

    Args:
        raw: As seen on dev; NaN where a task it needs has no score.
        mean, error: Shrunken estimate and its standard error.
        probability_best: That no other trial of the study is better.
    """

    raw: float
    mean: float
    error: float
    probability_best: float

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return the bounds between which the true score lies with this probability."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Winner:
    """The best trial under one objective, beside the one that looks best.

    Args:
        trial: Best by the shrunken estimate.
        raw: Best by the score as it was seen.
        optimism: By how much the raw winner's score is expected to be too high, from the noise and
            the number of trials.
    """

    objective: str
    trial: str
    raw: str
    optimism: float


class Selection:
    """The trials of a study with what they are worth.

    Attributes:
        trials: Ids of those that have a score, in the order of their numbers.
        epochs: The epoch of each at which it is judged.
        estimates: Objective ("average", "worst_task", "task:<name>", "objective") -> trial ->
            estimate.
        winners: By objective.
    """

    trials: tuple[str, ...]
    epochs: Mapping[str, int]
    estimates: Mapping[str, Mapping[str, Estimate]]
    winners: Mapping[str, Winner]

    @property
    def probability_best(self) -> Mapping[str, Mapping[str, float]]:
        """Objective -> trial -> probability that no other is better."""
        raise NotImplementedError

    def shortlist(self) -> list[Candidate]:
        """Return the trials to confirm, each once with all its roles, the winner first."""
        raise NotImplementedError


def select(
    record: StudyRecord,
    *,
    dev_rows: Mapping[str, int] | None = None,
    arms: Sequence[str] = (STRUCTURE,),
    seed: int | None = None,
) -> Selection:
    """Return the selection of a study; `record` may be of one that still runs.

    Args:
        dev_rows: Rows behind the scores by task; None: as the record says.
        arms: The keys whose values are compared, each combination an arm.
        seed: Of the simulation; None: the study's.
    """
    raise NotImplementedError
