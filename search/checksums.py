"""`SHA256SUMS`: checksums of what a study's folder holds, as `sha256sum --check` reads them.

The journal, weights and models have checksums of their own, and the lock and the Optuna database
are written by others too.
"""

import hashlib
from pathlib import Path

from mtl_core.files import write_text

SUMS = "SHA256SUMS"
_KINDS = (".parquet", ".md", ".html", ".json", ".yaml")
_NOT = "lock.json"


def write_checksums(folder: Path) -> None:
    """Write the file anew, over the tables, the reports, and what was asked."""
    files = sorted(p for p in folder.iterdir() if p.suffix in _KINDS and p.name != _NOT)
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    write_text(folder / SUMS, "".join(lines))
