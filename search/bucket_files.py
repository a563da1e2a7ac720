"""The files at one address of an object store, as the copies that a machine has of them.

All paths are those of the copies. An object cannot be added to, so in the store the journal is
written anew, like everything else.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mtl_core.errors import ConfigError
from mtl_core.files import replacing
from search.journal import JOURNAL

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo

MODELS, LANES = OF_ENGINES = ("models", "lanes")  # folders of a study


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
