"""A study in an object store: `--out s3://bucket/prefix`, or another address that pyarrow knows.

Every machine works on a copy in its cache, `<cache>/buckets/<digest of the address>/<study>`, and
hands on what it writes: engines their weights and lanes at once, the driver all else in the course
of time (`bucket_sync.py`). On the driver's own disk each event of the journal is safe at once as
ever. What another machine may have written is fetched before it is read. Which address a copy is of
stands beside it, in `.bucket`; of a study without one, in a plain folder, nothing is handed on or
fetched.
"""

import hashlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from mtl_core.data.cache import cache_folder
from mtl_core.errors import ConfigError
from mtl_core.foreign import path_of
from search.bucket_files import Bucket
from search.environment import without_login

MARK = ".bucket"  # beside the copies of an address's studies, and holds the address


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
