"""The engine's side of a confirmation run: its best epoch on dev, kept, and tested when it ends.

A run chooses its epoch by itself, on dev, by what the study maximises; of equal ones the earliest.
Its weights are in `<study>/models` beside those of trials, under the run's name. Test is scored
once, when the run has ended, for that epoch alone.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.bucket import fetch, hand_on, remove
from search.objectives import Objective
from search.snapshots import snapshot_path

if TYPE_CHECKING:  # torch comes with them
    from mtl_core.training.config import TrialConfig
    from mtl_core.training.surroundings import Surroundings


class ConfirmedEpoch:
    """Keeps the best epoch of one run; takes the place of a `SnapshotKeeper`.

    Args:
        study: The study's folder.
        objective: What the epoch is chosen by.
    """

    def __init__(self, study: Path, run: str, objective: Objective) -> None:
        self._study, self._run, self._objective = study, run, objective
        self._value, self._epoch = -math.inf, 0
        self._reported: dict[str, float] = {}

    def offer(
        self,
        epoch: int,
        average: float,
        scores: Mapping[str, float],
        save: Callable[[Path], None],
    ) -> tuple[str, ...]:
        """Have `save` write the weights if they are the run's best so far."""
        value = self._objective.of_epoch(average, scores)
        if not value > self._value:  # also where it is NaN
            return ()
        path = snapshot_path(self._study, self._run, epoch)
        save(path)
        hand_on(self._study, path)
        if self._epoch:
            remove(self._study, snapshot_path(self._study, self._run, self._epoch))
        self._value, self._epoch, self._reported = value, epoch, dict(scores)
        return (self._objective.name,)

    def state(self) -> dict[str, Any]:
        """Return what another keeper of the run must know to go on, as JSON values."""
        return {"value": self._value, "epoch": self._epoch, "reported": self._reported}

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Take over from the keeper of an engine that was lost."""
        self._value, self._epoch = state["value"], state["epoch"]
        self._reported = dict(state["reported"])

    def tested(self, config: "TrialConfig", around: "Surroundings") -> dict[str, Any]:
        """Score the kept epoch on dev and test.

        Raises:
            ValueError: No epoch has a score.
            ConfigError: The weights were not kept, as on a full disk, or are damaged.
        """
        from mtl_core.tensor_file import read_tensors
        from mtl_core.training.models import restore_model
        from search.scored import scored

        if not self._epoch:
            raise ValueError(f"no epoch has a dev score of {self._objective.name}")
        path = snapshot_path(self._study, self._run, self._epoch)
        fetch(self._study, path)
        state, _ = read_tensors(path)
        model = restore_model(around.corpus, config, state).to(around.device)
        return {
            "epoch": self._epoch,
            "reported": self._reported,
            **scored(model, around.corpus, around.device),
        }
