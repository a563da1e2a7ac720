"""One driver at a time in a study's folder: a lock that says who holds it.

The journal itself is locked by the system (`journal.py`), which forgets no dead process but does
not reach from one machine to another on every shared disk. So `<study>/lock.json` says besides
which process of which host is at work. It is touched every few seconds; one of another host that
nobody has touched for two minutes, or of a process of this host that is gone, is taken over.

An object store knows no "only if there is none yet": of two drivers that begin at once on machines
that share such a store alone, the one whose lock is there a second later goes on.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from mtl_core.errors import ConfigError
from mtl_core.files import write_text
from mtl_core.foreign import read_object
from search.bucket import bucket_of, fetch, remove
from search.progress_view import duration

LOCK = "lock.json"
TOUCH_SECONDS = 10.0
STALE_SECONDS = 120.0
SETTLED_SECONDS = 1.0  # after which a store has the lock of whoever wrote last


@dataclass(frozen=True)
class Holder:
    """Who is at work.

    Args:
        began: Unix seconds.
        born: When the process began, as its system counts; None where that is not known. A number
            of a process is given again once it has ended.
    """

    host: str
    pid: int
    began: float
    born: int | None = None

    def is_alive(self, seconds_untouched: float) -> bool:
        """Whether it still works, as far as that can be known from here."""
        if self.host != socket.gethostname():
            return seconds_untouched < STALE_SECONDS
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # it is another user's
            return True
        return self.born is None or _born(self.pid) == self.born

    def in_words(self, now: float) -> str:
        age = duration(max(0.0, now - self.began))
        return f"process {self.pid} on {self.host}, at work for {age}"


class StudyLock:
    """The lock of one study; a context that holds it.

    Args:
        folder: The study's; it must exist when the lock is taken.
        say: Told of a lock that is taken over.

    Raises:
        ConfigError: On entering: another driver is at work.
    """

    def __init__(
        self,
        folder: Path,
        say: Callable[[str], None] | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = folder / LOCK
        self._say, self._clock = say or (lambda _: None), clock
        self._released = threading.Event()

    def check(self) -> Holder | None:
        """Return the holder that is gone, if one left its lock behind.

        Raises:
            ConfigError: Another driver is at work.
        """
        holder = self._read()
        if holder is None:
            return None
        if holder.is_alive(self._clock() - self.path.stat().st_mtime):
            raise ConfigError(
                f"{self.path.parent}: another driver is writing this study "
                f"({holder.in_words(self._clock())}); wait for it or end it, or choose another "
                f"folder with --out; if it is surely gone, delete {self.path}"
            )
        return holder

    def __enter__(self) -> "StudyLock":
        fetch(self.path.parent, self.path)
        former = self.check()
        if former is not None:
            self._say(f"its last driver was cut off ({former.in_words(self._clock())}): going on")
        mine = Holder(socket.gethostname(), os.getpid(), self._clock(), _born(os.getpid()))
        write_text(self.path, json.dumps(asdict(mine)) + "\n")
        self._settle()
        threading.Thread(target=self._keep_fresh, name="lock", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._released.set()
        remove(self.path.parent, self.path)

    def _settle(self) -> None:
        """Where the lock lies in a store, make sure that no other driver has written over it."""
        bucket = bucket_of(self.path.parent)
        if bucket is None:
            return
        mine = self.path.read_bytes()
        try:
            bucket.push(self.path)
            time.sleep(SETTLED_SECONDS)
            there = bucket.content(self.path)
        except OSError as error:
            raise bucket.fault(error) from None
        if there != mine:
            self.path.write_bytes(there)
            self.check()

    def _keep_fresh(self) -> None:
        while not self._released.wait(TOUCH_SECONDS):
            try:
                os.utime(self.path)
            except OSError:  # storage that is away for a while; the lock of the system still holds
                continue

    def _read(self) -> Holder | None:
        try:
            return Holder(**read_object(self.path))
        except TypeError:  # none, or one that was cut short
            return None


def _born(pid: int) -> int | None:
    """Return when a process began, in ticks since the system did; None where it does not say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        return int(text.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
