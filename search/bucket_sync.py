"""Hands on what the driver writes in a study's folder, where the study is in a store.

All but the engines' files, every two seconds: what has changed is written anew there, and what is
gone is deleted.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mtl_core.errors import ConfigError
from search.bucket import bucket_of
from search.bucket_files import OF_ENGINES, Bucket

SYNC_SECONDS = 2.0
SHARE = 0.1  # of the time, that goes into writing the driver's files anew


@contextmanager
def handed_on(study: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hand on the driver's files while the block runs, and what is left at its end.

    Raises:
        ConfigError: At the beginning or the end, where the store takes nothing.
    """
    bucket = bucket_of(study)
    if bucket is None:
        yield
        return
    copying = _Copying(bucket, study)
    try:
        copying.tick()
    except OSError as error:
        raise bucket.fault(error) from None
    ended = threading.Event()
    thread = threading.Thread(target=copying.go_on, args=(ended, say), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        try:
            copying.tick()
        except OSError as error:
            later = f"what was found is in {study}; the same command hands it on later"
            raise ConfigError([*bucket.fault(error).faults, later]) from None


class _Copying:
    """Hands on what has changed in the driver's part of a study."""

    def __init__(self, bucket: Bucket, study: Path) -> None:
        self._bucket, self._study = bucket, study
        self._known: dict[Path, Any] = {}

    def go_on(self, ended: threading.Event, say: Callable[[str], None]) -> None:
        wait, told = SYNC_SECONDS, False
        while not ended.wait(wait):
            began = time.monotonic()
            try:
                self.tick()
            except OSError as error:  # it may be back for the next time
                if not told:
                    say(f"{self._bucket.address} takes nothing for now: {error}")
                told = True
            else:
                told = False
            wait = max(SYNC_SECONDS, (time.monotonic() - began) / SHARE)

    def tick(self) -> None:
        """Hand on, and delete there, what was written and deleted here."""
        found = {}
        for path in self._files():
            with suppress(FileNotFoundError):
                about = path.stat()
                found[path] = (about.st_mtime_ns, about.st_size)
        for path, state in found.items():
            if self._known.get(path) != state:
                with suppress(FileNotFoundError):  # deleted meanwhile
                    self._bucket.push(path)
                self._known[path] = state
        for path in self._known.keys() - found.keys():
            self._bucket.remove(path)
            del self._known[path]

    def _files(self) -> Iterator[Path]:
        for folder, inner, names in os.walk(self._study):
            hidden = [name for name in inner if name.startswith(".")]
            inner[:] = sorted(set(inner) - {*hidden, *OF_ENGINES})
            yield from (Path(folder, name) for name in sorted(names) if name[0] != ".")
