"""The report of a study that may be under way, made anew when the journal has grown.

Any number of readers ask; the page is made once for all of them, and at most every few seconds.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mtl_core.errors import ConfigError
from search.journal import JOURNAL
from search.place import SPACE
from search.record import StudyRecord
from search.report.account import STATES
from search.report.wording import count, percent
from search.space import load_space

LEAST_SECONDS = 3.0  # between two makings of the page
_DASHBOARD = "Ray dashboard: "


@dataclass(frozen=True)
class State:
    """What is known of a study at a moment.

    Args:
        version: Changes with the journal; None as long as there is none.
        words: How far it is.
        dashboard: Address of Ray's dashboard, if it runs.
    """

    name: str
    version: str | None
    words: str
    dashboard: str | None = None


class LiveReport:
    """The report of the study in `folder`, which need not be there yet.

    Args:
        clock: In seconds, from any beginning.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.folder, self._clock, self._sleep = folder, clock, sleep
        self._lock = threading.Lock()
        self._made: tuple[str, str] | None = None  # version and page
        self._made_at = -LEAST_SECONDS

    def state(self) -> State:
        """Return how far the study is; raises `ConfigError` where its journal is damaged."""
        version = self._version()
        if version is None:
            return State(self.folder.name, None, "waiting for the study to begin")
        record = StudyRecord.load(self.folder / JOURNAL)
        return State(self.folder.name, version, _words(record), _dashboard(record))

    def page(self) -> str:
        """Return the page as the journal is now; who asks too soon after another waits.

        Raises:
            ConfigError: There is no study, or it is damaged.
        """
        with self._lock:
            version = self._version()
            if version is None:
                raise ConfigError(f"{self.folder}: no study is here yet")
            if self._made is None or self._made[0] != version:
                self._sleep(max(0.0, self._made_at + LEAST_SECONDS - self._clock()))
                self._made = (self._version() or version, self._make())
                self._made_at = self._clock()
            return self._made[1]

    def _version(self) -> str | None:
        try:
            found = (self.folder / JOURNAL).stat()
        except OSError:
            return None
        has_space = (self.folder / SPACE).is_file()
        return f"{found.st_size}-{found.st_mtime_ns}" if found.st_size and has_space else None

    def _make(self) -> str:
        from search.report.html.page import page  # brings templates along
        from search.views import material_of

        record = StudyRecord.load(self.folder / JOURNAL)
        return page(material_of(record, load_space(self.folder / SPACE), self.folder))


def _words(record: StudyRecord) -> str:
    trials = list(record.trials.values())
    states = {
        words: sum(trial.state == state for trial in trials) for state, words in STATES.items()
    }
    running = states.pop("cut off")
    parts = [count(len(trials), "trial")]
    parts += [f"{n} {words}" for words, n in states.items() if n]
    if running:
        parts.append(f"{running} {'cut off' if record.ended_reason else 'in training'}")
    runs = record.confirmation.runs
    if runs:
        parts.append(f"{len(record.confirmed)} of {count(len(runs), 'run')} confirmed")
    leader = record.leaders().get(record.objective.name)
    if leader is not None:
        parts.append(f"best {percent(leader.score)} on dev")
    parts.append("the search has ended" if record.ended_reason else "under way")
    return ", ".join(parts)


def _dashboard(record: StudyRecord) -> str | None:
    """Return the address that the driver has noted last; None once the search has ended."""
    found = [note for note in record.notes if note.startswith(_DASHBOARD)]
    return found[-1].removeprefix(_DASHBOARD) if found and not record.ended_reason else None
