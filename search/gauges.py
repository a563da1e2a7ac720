"""How far a study is, as gauges on the metrics endpoint of Ray's nodes (`ray.util.metrics`).

Prometheus, or whatever else a cluster has for it, reads them there; each has the study's name as a
tag. They are set by the driver, at most once a second.
"""

import math
import time
from collections.abc import Callable

from ray.util.metrics import Gauge

from search.lanes import Lanes
from search.record import StudyRecord

SECONDS = 1.0  # between two settings
_DESCRIPTIONS = {
    "branchpoint_trials_running": "Trials in training",
    "branchpoint_trials_finished": "Trials that have ended without a failure, stopped ones too",
    "branchpoint_trials_failed": "Trials that have failed",
    "branchpoint_lanes_used": "Lanes of engines that are in use",
    "branchpoint_words_per_second": "Words that the trials in training went through in their last "
    "epoch, for each second of it, all together",
    "branchpoint_best_mean_score": "Best mean over the tasks on dev so far, 0 to 1 for accuracy",
}


class Gauges:
    """The gauges of one search.

    Args:
        lanes: Where the trials train.
        clock: In seconds, from any beginning.
    """

    def __init__(
        self, record: StudyRecord, lanes: Lanes, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._record, self._lanes, self._clock = record, lanes, clock
        self._gauges = {
            name: Gauge(name, description=words, tag_keys=("study",))
            for name, words in _DESCRIPTIONS.items()
        }
        for gauge in self._gauges.values():
            gauge.set_default_tags({"study": str(record.header.get("name", ""))})
        self._next = -math.inf

    def tick(self) -> None:
        """Set them, unless that was done just now."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + SECONDS
        for name, value in values(self._record, self._lanes).items():
            self._gauges[name].set(value)


def values(record: StudyRecord, lanes: Lanes) -> dict[str, float]:
    """Return what the gauges are to show by now, by name; the best score once there is one."""
    trials = record.trials.values()
    running = [trial for trial in trials if trial.state == "running" and lanes.of(trial.id)]
    speeds = [trial.reports[-1].tokens_per_second for trial in running if trial.reports]
    found = {
        "branchpoint_trials_running": float(len(running)),
        "branchpoint_trials_finished": float(
            sum(trial.state in ("finished", "stopped") for trial in trials)
        ),
        "branchpoint_trials_failed": float(sum(trial.state == "failed" for trial in trials)),
        "branchpoint_lanes_used": float(lanes.n_used),
        "branchpoint_words_per_second": math.fsum(s for s in speeds if math.isfinite(s)),
    }
    leader = record.leaders().get("average")
    if leader is not None:
        found["branchpoint_best_mean_score"] = leader.score
    return found
