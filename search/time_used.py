"""How long a study has been searched and confirmed, from the times of its events.

Its runs count from their beginning to their last event before they ended, and not the time between
them: a run whose driver was killed has no other end.
"""

from dataclasses import dataclass

from search.journal import Event


@dataclass
class TimeUsed:
    """Seconds of all runs so far, up to their last event."""

    _former: float = 0.0  # of the runs before the last
    _former_confirming: float = 0.0
    _in_run: float = 0.0
    _in_run_confirming: float = 0.0
    _run_began: float = 0.0
    _confirming_began: float | None = None  # in the last run
    _ended: bool = False

    @property
    def seconds(self) -> float:
        """Seconds of search and confirmation."""
        return self._former + self._in_run

    @property
    def seconds_confirming(self) -> float:
        """Those of them that went into the confirmation."""
        return self._former_confirming + self._in_run_confirming

    def apply(self, event: Event) -> None:
        """Let time go on to an event, the first of which is "study"."""
        if self._ended and event["event"] != "continued":
            return
        now = event["time"]
        match event["event"]:
            case "study":
                self._run_began = now
            case "continued":
                self._former, self._in_run = self.seconds, 0.0
                self._former_confirming, self._in_run_confirming = self.seconds_confirming, 0.0
                self._run_began, self._confirming_began, self._ended = now, None, False
            case "searched":
                self._confirming_began = now
            case "ended":
                self._ended = True
        self._in_run = max(0.0, now - self._run_began)
        if self._confirming_began is not None:
            self._in_run_confirming = max(0.0, now - self._confirming_began)
