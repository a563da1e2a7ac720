"""What a user sees while a search runs."""

from search.cluster import Cluster


class Progress:
    """Shows nothing; what `tuner.py` and `callback.py` tell a display."""

    def say(self, text: str) -> None:
        """Tell what is going on before and after the trials run."""

    def started(self, cluster: Cluster) -> None:
        """The cluster is there, trials begin."""

    def changed(self) -> None:
        """The record has a new event."""

    def trial_ended(self, trial: str) -> None:
        """That trial is finished, stopped or failed."""

    def tick(self) -> None:
        """Called some ten times a second, for what moves with the time."""

    def close(self) -> None:
        """Leave the terminal in order; twice is fine."""
