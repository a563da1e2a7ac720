"""Studies whose trials have a known worth: scores as the rows of a dev split would give them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtl_core.training.config import TrialConfig
from search.record import StudyRecord

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Planted:
    """How a study is drawn; deviations are shares, 0.01 is a point.

    Args:
        sd_trial, sd_interaction: Of what a trial is worth on all tasks, and on each alone.
        rows: Dev rows of each task.
    """

    n_trials: int = 30
    n_tasks: int = 16
    sd_trial: float = 0.015
    sd_interaction: float = 0.015
    rows: int = 200

    def draw(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return what trials are worth and how they score, (N, K) each."""
        shape = (self.n_trials, self.n_tasks)
        tasks = rng.uniform(0.75, 0.9, self.n_tasks)
        trials = rng.normal(0.0, self.sd_trial, (self.n_trials, 1))
        worth = np.clip(tasks + trials + rng.normal(0.0, self.sd_interaction, shape), 0.02, 0.98)
        return worth, rng.binomial(self.rows, worth) / self.rows


def record_of(scores: Floats, *, rows: int = 200, **header: Any) -> StudyRecord:
    """Return a study of finished trials of one epoch; a score that is NaN is missing."""
    return record_of_curves([of_trial[None] for of_trial in scores], rows=rows, **header)


def record_of_curves(
    curves: Sequence[Floats],
    *,
    rows: int = 200,
    stopped: Sequence[int] = (),
    configs: Sequence[dict[str, Any]] | None = None,
    **header: Any,
) -> StudyRecord:
    """Return a study of trials with these scores, each (epochs, K).

    Args:
        stopped: Places of the trials that were stopped after their last epoch.
        configs: Of each trial what is not as by default, section by section.
    """
    tasks = [f"task_{at}" for at in range(curves[0].shape[1])]
    study = {"event": "study", "time": 0.0, "format": 1, "name": "planted", "seed": 0}
    events = [{**study, "tasks": tasks, "dev_rows": dict.fromkeys(tasks, rows), **header}]
    for at, curve in enumerate(curves):
        config = TrialConfig.from_dict(configs[at] if configs else {}).as_dict()
        events += _trial(f"t{at + 1:04}", at + 1, config, curve, tasks, ended_early=at in stopped)
    return StudyRecord(None, events)


def _trial(
    name: str,
    number: int,
    config: dict[str, Any],
    curve: Floats,
    tasks: Sequence[str],
    *,
    ended_early: bool,
) -> list[dict[str, Any]]:
    about = {"trial": name, "time": float(number)}
    proposed = {"number": number, "values": {}, "config": config, "seed": number, "source": "tpe"}
    events: list[dict[str, Any]] = [
        {**about, "event": "proposed", **proposed},
        {**about, "event": "started", "attempt": 1, "worker": "w"},
    ]
    for epoch, scores in enumerate(curve, start=1):
        of_tasks = [None if np.isnan(score) else float(score) for score in scores]
        average = None if None in of_tasks else float(scores.mean())
        events.append(
            {
                **about,
                "event": "reported",
                "epoch": epoch,
                "average": average,
                "scores": dict(zip(tasks, of_tasks, strict=True)),
                "loss": 1.0,
                "losses": dict.fromkeys(tasks, 1.0),
                "tokens_per_second": 1.0,
                "seconds": 1.0,
            }
        )
    last = {"event": "stopped", "rung": len(curve)} if ended_early else {"event": "finished"}
    return [*events, {"reason": "epochs", "epochs": len(curve), **about, **last}]
