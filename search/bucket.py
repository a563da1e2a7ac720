"""A study in an object store: `--out s3://bucket/prefix`, or another address that pyarrow knows.

Every machine works on a copy in its cache, `<cache>/buckets/<digest of the address>/<study>`, and
hands on what it writes: engines their weights and lanes at once, the driver all else every two
seconds. On the driver's own disk each event of the journal is safe at once as ever; an object
cannot be added to, so in the bucket the journal is written anew. What another machine may have
written is fetched before it is read. Which address a copy is of stands beside it, in `.bucket`;
of a study without one, in a plain folder, nothing is handed on or fetched.
"""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from mtl_core.data.cache import cache_folder
from mtl_core.errors import ConfigError
from mtl_core.files import replacing
from mtl_core.foreign import path_of
from search.environment import without_login
from search.journal import JOURNAL

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo

MARK = ".bucket"  # beside the copies of an address's studies, and holds the address
SYNC_SECONDS = 2.0
SHARE = 0.1  # of the time, that goes into writing the driver's files anew
MODELS, LANES = OF_ENGINES = ("models", "lanes")  # folders of a study


def is_address(out: object) -> bool:
    """Whether it is the address of a store and no folder."""
    return "://" in str(out)


def copy_of(address: str) -> Path:
    """Return the folder that holds this machine's copies of the studies at an address.

    Raises:
        ConfigError: The address has a login in it.
    """
    if "@" in urlsplit(address).netloc:
        raise ConfigError(
            f"--out: found an address with a login, {without_login(address)}; the address alone "
            "would be right, and the login in the store's own variables (AWS_ACCESS_KEY_ID, ...)"
        )
    name = hashlib.blake2b(address.encode(), digest_size=8).hexdigest()
    folder = cache_folder() / "buckets" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text(address, encoding="utf-8")
    return folder


def local_study(folder: str | Path) -> Path:
    """Return where the files of a study or a model can be read here, fetched from its address.

    Raises:
        ConfigError: There is no such store, it may not be read, or the address ends in no name.
    """
    if not is_address(folder):
        return Path(folder)
    parts = urlsplit(str(folder))
    above, _, name = parts.path.rstrip("/").rpartition("/")
    path = path_of(copy_of(urlunsplit(parts._replace(path=above))), name)
    fetch_study(path)
    return path


class Bucket:
    """The studies at one address.

    Args:
        address: As `--out` has it.
        copies: The folder of this machine's copies.

    Raises:
        ConfigError: pyarrow knows no such address, or cannot reach it.
    """

    def __init__(self, address: str, copies: Path) -> None:
        from pyarrow.fs import FileSystem

        self.address, self._copies = address, copies
        try:
            self._store, self._root = FileSystem.from_uri(address)
        except (OSError, ValueError) as error:
            raise self.fault(error) from None

    def push(self, path: Path) -> None:
        """Hand on a file; raises `OSError` where the store does not take it."""
        there = self._there(path)
        try:
            self._write(there, path)
        except FileNotFoundError:  # a store that has folders
            self._store.create_dir(there.rpartition("/")[0], recursive=True)
            self._write(there, path)

    def pull(self, path: Path) -> None:
        """Have a file be as it is in the store, or later; raises `OSError` if that cannot be read.

        What is there no longer, another machine has deleted: it is deleted here too.
        """
        (found,) = self._store.get_file_info([self._there(path)])
        if not found.is_file:
            path.unlink(missing_ok=True)
        else:
            self._fetch_later(found, path)

    def content(self, path: Path) -> bytes:
        """Return what is in the store; raises `OSError` if that cannot be read."""
        with self._store.open_input_stream(self._there(path)) as file:
            found: bytes = file.read()
        return found

    def remove(self, path: Path) -> None:
        """Delete a file there; nothing happens where there is none."""
        with suppress(FileNotFoundError):
            self._store.delete_file(self._there(path))

    def files(self, folder: Path) -> dict[Path, "FileInfo"]:
        """Return what lies in a folder and below it, by its place in the copy."""
        from pyarrow.fs import FileSelector

        where = FileSelector(self._there(folder), recursive=True, allow_not_found=True)
        found = [one for one in self._store.get_file_info(where) if one.is_file]
        return {self._copies / one.path.removeprefix(self._root).lstrip("/"): one for one in found}

    def fetch_all(self, study: Path) -> None:
        """Fetch all files of a study's folder that are not the engines'."""
        for path, found in self.files(study).items():
            inside = path.resolve().is_relative_to(self._copies.resolve())
            if not inside or path.relative_to(study).parts[0] in OF_ENGINES:
                continue
            if path == study / JOURNAL:
                self._fetch_journal(found, path)
            else:
                self._fetch_later(found, path)

    def move(self, study: Path, to: Path) -> None:
        """Move a whole study there."""
        for path in self.files(study):
            after = to / path.relative_to(study)
            self._store.copy_file(self._there(path), self._there(after))
            self.remove(path)

    def _fetch_journal(self, found: "FileInfo", path: Path) -> None:
        """Take what is longer of both: this machine's copy may be ahead, but not another story."""
        there = self.content(path)
        here = path.read_bytes() if path.exists() else b""
        if not (there.startswith(here) or here.startswith(there)):
            raise ConfigError(
                f"{self.address}: the journal of {path.parent.name} has gone another way than this "
                f"machine's copy {path}; delete the copy to go on with what is in the store"
            )
        if len(there) > len(here):
            self._keep(there, found, path)

    def _fetch_later(self, found: "FileInfo", path: Path) -> None:
        """Fetch what is later than this machine's copy, or has none."""
        if not path.exists() or path.stat().st_mtime_ns < found.mtime_ns:
            self._keep(self.content(path), found, path)

    def _keep(self, content: bytes, found: "FileInfo", path: Path) -> None:
        with replacing(path) as beside:
            beside.write_bytes(content)
        os.utime(path, ns=(found.mtime_ns, found.mtime_ns))

    def _write(self, there: str, path: Path) -> None:
        with self._store.open_output_stream(there) as file:
            file.write(path.read_bytes())

    def _there(self, path: Path) -> str:
        return f"{self._root}/{path.relative_to(self._copies).as_posix()}"

    def fault(self, error: Exception) -> ConfigError:
        """Return what to say of a store that cannot be used."""
        reason = " ".join(str(error).split())
        return ConfigError(
            f"--out {self.address}: the store cannot be used: {reason}; an address that pyarrow "
            "knows, such as s3://BUCKET/PREFIX?region=REGION, with the store's own variables for "
            "the login (AWS_ACCESS_KEY_ID, ...), or a folder, would be right"
        )


@cache
def _of_copies(copies: Path) -> Bucket | None:
    mark = copies / MARK
    return Bucket(mark.read_text(encoding="utf-8"), copies) if mark.is_file() else None


def bucket_of(study: Path) -> Bucket | None:
    """Return where a study is a copy of; None for one in a plain folder."""
    return _of_copies(study.parent)


def known_as(study: Path, path: Path) -> str:
    """Return what a user knows a file of a study by: its address, where the study has one."""
    bucket = bucket_of(study)
    if bucket is None:
        return str(path)
    parts = urlsplit(bucket.address)
    inside = path.relative_to(study.parent).as_posix()
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{inside}"))


def fetch_study(study: Path) -> None:
    """Bring a copy up to date; raises `ConfigError` where the store cannot be read."""
    bucket = bucket_of(study)
    if bucket is not None:
        try:
            bucket.fetch_all(study)
        except OSError as error:
            raise bucket.fault(error) from None


def hand_on(study: Path, path: Path) -> None:
    """Let other machines have a file that an engine has written; without it they make their own."""
    bucket = bucket_of(study)
    if bucket is not None and path.exists():
        with suppress(OSError):
            bucket.push(path)


def fetch(study: Path, path: Path) -> None:
    """Have a file as another machine may have written it."""
    bucket = bucket_of(study)
    if bucket is not None:
        with suppress(OSError):
            bucket.pull(path)


def remove(study: Path, path: Path) -> None:
    """Delete a file of the engines, wherever it is."""
    path.unlink(missing_ok=True)
    bucket = bucket_of(study)
    if bucket is not None:
        with suppress(OSError):
            bucket.remove(path)


def files_in(study: Path, name: str) -> list[Path]:
    """Return the files in a folder of the engines, whoever has written them."""
    here = set((study / name).glob("*.safetensors"))
    bucket = bucket_of(study)
    if bucket is not None:
        with suppress(OSError):
            here |= bucket.files(study / name).keys()
    return sorted(here)


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
