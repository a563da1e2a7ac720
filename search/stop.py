"""Ending a search before its trials are done: by hand, or because its time is up.

Ctrl-C, or SIGTERM, once: trials in training are given up as they are, the journal keeps them
unfinished, and the search returns. Twice: the program ends at once; the journal is whole even then.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # the switch is there while Ray starts, before Tune is imported
    from ray.tune.experiment import Trial

EXIT_INTERRUPTED = 130


class StopSwitch:
    """Tells Tune, at each of its steps, whether all is to be stopped: one of its stoppers.

    Args:
        seconds: Time the search may take from now on; None: as long as it needs.
        clock: In seconds, from any beginning.

    Attributes:
        reason: Why the search is being given up; None while it goes on.
    """

    def __init__(
        self, seconds: float | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.reason: Literal["interrupted", "minutes", "failures"] | None = None
        self._clock = clock
        self._deadline = None if seconds is None else clock() + seconds
        self._actors: list[Any] = []

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:  # noqa: ARG002
        return False

    def stop_all(self) -> bool:
        if self.reason is None and self._deadline is not None and self._clock() >= self._deadline:
            self.reason = "minutes"
        return self.reason is not None

    def go_on(self, seconds: float | None = None) -> None:
        """Let what follows have its own time, unless all was interrupted by hand."""
        if self.reason == "minutes":
            self.reason = None
        self._deadline = None if seconds is None else self._clock() + seconds

    def seconds_left(self) -> float | None:
        """Return the time until the deadline; None where there is none."""
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    def give_up(self) -> None:
        """End the search because too many trials fail."""
        self.reason = self.reason or "failures"

    def interrupt(self) -> None:
        self.reason = self.reason or "interrupted"

    def remember(self, trials: "list[Trial]") -> None:
        """Note the clients of trials in training, which Tune forgets when it stops their trials."""
        actors = (trial.temporary_state.ray_actor for trial in trials)
        self._actors = [actor for actor in actors if actor is not None]

    def kill_remembered(self) -> None:
        """End the clients that wait for an epoch, for which Tune would wait ten seconds."""
        if self.reason is not None:
            import ray

            for actor in self._actors:
                ray.kill(actor)
            self._actors = []

    @contextmanager
    def on_signals(
        self, *, first: Callable[[], None], second: Callable[[], None]
    ) -> Iterator[None]:
        """Interrupt at SIGINT and SIGTERM; at the second one exit, without a last word to anybody.

        In a thread other than the main one, where Python takes no signals, nothing is changed.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
            if self.reason == "interrupted":
                second()
                os._exit(EXIT_INTERRUPTED)
            self.interrupt()
            first()

        former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in former:
            signal.signal(number, handle)
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
