"""What Tune's controller holds, for schedulers that are called without one."""

from typing import Any


class Controller:
    """Lists trials that go on, and holds those that have ended all over the place, as Tune does."""

    def __init__(self, going_on: tuple[Any, ...] = (), ended: tuple[Any, ...] = ()) -> None:
        self._trials = list(going_on)
        self._live_trials, self._stopped_trials = {*going_on, *ended}, {*ended}
        self._failed_trials, self._trials_to_cache = {*ended}, {*going_on, *ended}

    def get_trials(self) -> list[Any]:
        return self._trials
