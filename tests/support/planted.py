"""Studies whose trials have a known worth: scores as the rows of a dev split would give them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtl_core.training.config import TrialConfig
from search.dev_rows import pack_dev
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
    kept: Sequence[NDArray[np.bool_]] | None = None,
    **header: Any,
) -> StudyRecord:
    """Return a study of trials with these scores, each (epochs, K).

    Args:
        stopped: Places of the trials that were stopped after their last epoch.
        configs: Of each trial what is not as by default, section by section.
        kept: Of each trial the dev rows of its epochs, right or wrong, (epochs, K, rows).
    """
    tasks = [f"task_{at}" for at in range(curves[0].shape[1])]
    study = {"event": "study", "time": 0.0, "format": 1, "name": "planted", "seed": 0}
    events = [{**study, "tasks": tasks, "dev_rows": dict.fromkeys(tasks, rows), **header}]
    for at, curve in enumerate(curves):
        config = TrialConfig.from_dict(configs[at] if configs else {}).as_dict()
        about = {"trial": f"t{at + 1:04}", "time": float(at + 1)}
        proposed = {"values": {}, "config": config, "seed": at, "source": "tpe"}
        events.append({**about, "event": "proposed", "number": at + 1, **proposed})
        events.append({**about, "event": "started", "attempt": 1, "worker": "w"})
        events += [
            {**about, **_report(epoch, dict(zip(tasks, scores, strict=True)))}
            for epoch, scores in enumerate(curve.tolist(), start=1)
        ]
        for event, rows_of_epoch in zip(
            events[-len(curve) :], kept[at] if kept else (), strict=False
        ):
            event["rows"] = pack_dev(dict(zip(tasks, rows_of_epoch, strict=True)))
        stop = {"event": "stopped", "epoch": len(curve), "rung": len(curve)}
        end = {"event": "finished", "epochs": len(curve), "reason": "epochs"}
        events.append({**about, **(stop if at in stopped else end)})
    return StudyRecord(None, events)


def _report(epoch: int, scores: dict[str, float]) -> dict[str, Any]:
    of_tasks = {task: None if np.isnan(score) else score for task, score in scores.items()}
    average = None if None in of_tasks.values() else sum(scores.values()) / len(scores)
    return {
        "event": "reported",
        "epoch": epoch,
        "average": average,
        "scores": of_tasks,
        "loss": 1.0,
        "losses": dict.fromkeys(scores, 1.0),
        "tokens_per_second": 1.0,
        "seconds": 1.0,
    }
