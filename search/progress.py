"""Showing a running search: a live display on a terminal, plain lines anywhere else.

`tuner.py` and `callback.py` tell a `Progress` what happens; what it looks like is in
`progress_view.py`. The live display is drawn by the driver itself, between Tune's events and at
most four times a second, so that nothing is read while it changes. Plain lines (a log file, CI)
are one for each ended trial and one now and then in between, without control characters.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from search import confirm_view
from search.cluster import Cluster
from search.progress_view import (
    Moment,
    best_in_words,
    best_report,
    counts,
    describe,
    duration,
    percent,
    state_in_words,
    view,
)
from search.record import StudyRecord
from search.space import Space
from search.time_shares import confirm_seconds_left, search_seconds_left
from search.trial_record import TrialRecord

if TYPE_CHECKING:  # Ray comes with it
    from search.confirm import Confirming

REFRESH_SECONDS = 0.25
HEARTBEAT_SECONDS = 30.0
STOPPING = "stopping; what is done is kept, and the same command continues (again: exit at once)"


class Progress:
    """Shows nothing; what `tuner.py` and `callback.py` tell a display."""

    def say(self, text: str) -> None:
        """Tell what is going on before and after the trials run."""

    def started(self, cluster: Cluster, space: Space, record: StudyRecord) -> None:
        """The cluster is there, trials begin."""

    def changed(self) -> None:
        """The record has a new event."""

    def trial_ended(self, trial: str) -> None:
        """That trial is finished, stopped or failed."""

    def confirming(self, shown: "Confirming") -> None:
        """The trials are over, the runs of the confirmation begin."""

    def run_ended(self, run: str) -> None:
        """That run of the confirmation is done or has failed."""

    def tick(self) -> None:
        """Called some ten times a second, for what moves with the time."""

    def stopping(self) -> None:
        """The search is being interrupted; called within a signal, so it only takes note."""

    def close(self) -> None:
        """Leave the terminal in order; twice is fine."""


def live_progress(console: Console | None = None) -> Progress:
    """Return the display that suits where `console` writes to."""
    console = console or Console()
    can_move = console.is_terminal and not console.is_dumb_terminal
    return LiveProgress(console) if can_move else PlainProgress(console)


class _Shown(Progress):
    """What both displays have in common: the words before, and the time that is left."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._record = StudyRecord()
        self._space: Space | None = None
        self._began, self._done_before, self._drawn = 0.0, 0, 0.0
        self._note: str | None = None
        self._confirming: Confirming | None = None
        self._runs_before = 0

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def started(self, cluster: Cluster, space: Space, record: StudyRecord) -> None:
        self._space, self._record = space, record
        self._began = self._drawn = self._clock()
        self._done_before = len(record.ended())
        engines = f"{cluster.engines} engine{'' if cluster.engines == 1 else 's'}"
        self.say(f"searching on {cluster.words}, {engines}")
        if cluster.dashboard:
            self.say(f"Ray dashboard: http://{cluster.dashboard}")

    def stopping(self) -> None:
        self._note = STOPPING

    def confirming(self, shown: "Confirming") -> None:
        self._confirming, self._began = shown, self._clock()
        self._runs_before = confirm_view.counts(self._record, shown)[0]
        done, total = confirm_view.counts(self._record, shown)
        n, left = len(self._record.confirmation.shortlist), total - done
        self.say(
            f"confirming {n} configuration{'' if n == 1 else 's'} with fresh seeds: "
            f"{left} run{'' if left == 1 else 's'} at least"
        )

    def _confirm_seconds_left(self) -> float | None:
        """Estimate from the runs that have ended; the time limit, if it comes first."""
        assert self._confirming is not None
        assert self._space is not None
        done, total = confirm_view.counts(self._record, self._confirming)
        left = None
        if done > self._runs_before:
            left = (self._clock() - self._began) / (done - self._runs_before) * (total - done)
        limit = confirm_seconds_left(self._space.search, self._record)
        known = [seconds for seconds in (left, limit) if seconds is not None]
        return max(0.0, min(known)) if known else None

    def _moment(self) -> Moment:
        assert self._space is not None
        size = self._space.size()
        trials = self._space.search.trials
        total = max(trials if size is None else min(trials, size), len(self._record.trials))
        return Moment(
            name=self._space.name,
            total=total,
            seconds_left=self._seconds_left(total),
            note=self._note,
        )

    def _seconds_left(self, total: int) -> float | None:
        """Estimate from what this run has done, in trials; the time limit, if it comes first."""
        assert self._space is not None
        elapsed = self._clock() - self._began
        ended = len(self._record.ended())
        begun = sum(_share_done(trial) for trial in self._record.unfinished())
        left = None
        if ended > self._done_before:
            left = elapsed / (ended + begun - self._done_before) * max(0, total - ended - begun)
        limit = search_seconds_left(self._space.search, self._record)
        if limit is None:
            return left
        return max(0.0, limit if left is None else min(limit, left))


def _share_done(trial: TrialRecord) -> float:
    """Return how much of its epochs a trial in training has behind it, from 0 to 1."""
    epochs = trial.config["training"]["epochs"]
    return trial.reports[-1].epoch / epochs if trial.reports else 0.0


class LiveProgress(_Shown):
    """A table of the leading trials that stays in place, on a terminal."""

    _live: Live | None = None

    def started(self, cluster: Cluster, space: Space, record: StudyRecord) -> None:
        super().started(cluster, space, record)
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
        self._live.start()
        self._draw()

    def tick(self) -> None:
        if self._live is not None and self._clock() - self._drawn >= REFRESH_SECONDS:
            self._draw()

    def close(self) -> None:
        if self._live is not None:
            self._draw()
            self._live.stop()
            self._live = None

    def _draw(self) -> None:
        assert self._live is not None
        self._drawn = self._clock()
        size = self._console.size
        rows = max(1, min(12, size.height - 6))
        shown = (
            view(self._record, self._moment(), width=size.width, rows=rows)
            if self._confirming is None
            else confirm_view.confirm_view(
                self._record,
                self._confirming,
                name=self._record.header["name"],
                width=size.width,
                rows=rows,
                seconds_left=self._confirm_seconds_left(),
                note=self._note,
            )
        )
        self._live.update(shown, refresh=True)


class PlainProgress(_Shown):
    """A line for each ended trial, for the very first result, and every half minute."""

    _first_shown = False

    def started(self, cluster: Cluster, space: Space, record: StudyRecord) -> None:
        super().started(cluster, space, record)
        self._first_shown = any(trial.reports for trial in record.trials.values())  # earlier

    def changed(self) -> None:
        if self._first_shown or self._confirming is not None:
            return
        trial = next((t for t in self._record.trials.values() if t.reports), None)
        if trial is not None:
            self._first_shown = True
            score = percent(trial.reports[-1].value)
            self._line(f"first result: {score} after epoch 1 of {trial.id} ({describe(trial)})")

    def trial_ended(self, trial: str) -> None:
        known = self._record.trials[trial]
        report = best_report(known)
        score = f"{percent(report.average)} at epoch {report.epoch}" if report else "no result"
        reason = ""
        if known.failure is not None:
            reason = f" ({known.failure.reason})"
        words = f"{known.id} {state_in_words(known)}{reason}: {score}, {describe(known)}"
        self._line(f"{words}; {best_in_words(self._record)}")

    def run_ended(self, run: str) -> None:
        self._run_line(confirm_view.run_in_words(self._record, run))

    def tick(self) -> None:
        self._say_note()
        if self._clock() - self._drawn < HEARTBEAT_SECONDS:
            return
        if self._confirming is not None:
            self._run_line(f"{len(self._confirming.in_training)} in training")
        else:
            moment = self._moment()
            running = sum(trial.state == "running" for trial in self._record.trials.values())
            words = [f"{running} in training", counts(self._record), best_in_words(self._record)]
            if moment.seconds_left is not None:
                words.append(f"about {duration(moment.seconds_left)} left")
            self._line("; ".join(filter(None, words)))

    def close(self) -> None:
        self._say_note()  # the search may end before the next tick

    def _say_note(self) -> None:
        if self._note is not None:
            self.say(self._note)
            self._note = None

    def _run_line(self, text: str) -> None:
        assert self._confirming is not None
        self._drawn = self._clock()
        done, total = confirm_view.counts(self._record, self._confirming)
        left = self._confirm_seconds_left()
        ends = "" if left is None else f"; about {duration(left)} left"
        self.say(f"[{done}/{total} runs] {text}; {confirm_view.best_in_words(self._record)}{ends}")

    def _line(self, text: str) -> None:
        self._drawn = self._clock()
        self.say(f"[{len(self._record.ended())}/{self._moment().total}] {text}")
