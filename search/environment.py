"""`environment.json`: with what a study was made, so that it can be made again.

Versions, commit, machine, seed, hash of the data, command. Nothing personal: no user or host name,
no environment variables, and a home folder is written "~"; only the data folder that the user gave
stands as given.
"""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "branchpoint",
    "torch",
    "ray",
    "optuna",
    "numpy",
    "scikit-learn",
    "tokenizers",
    "pyarrow",
)
TIMEOUT_SECONDS = 10
_ROOT = Path(__file__).resolve().parent.parent


def environment(
    *, seed: int, data_source: str, data_fingerprint: str, argv: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the environment of this process as JSON values.

    Args:
        data_source: The folder as the user gave it, or "builtin".
        data_fingerprint: `Corpus.content_hash()`.
        argv: The command line; that of this process by default.
    """
    commit, dirty = _git()
    return {
        "command": command(sys.argv if argv is None else argv),
        "seed": seed,
        "data": {"source": data_source, "fingerprint": data_fingerprint},
        "versions": {"python": platform.python_version(), **_versions()},
        "git_commit": commit,
        "git_dirty": dirty,
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "cpus": os.cpu_count() or 1,
            "memory_gib": _memory_gib(),
            "gpus": _gpus(),
        },
    }


def command(argv: Sequence[str]) -> list[str]:
    """Return the command that would be typed again; empty when this is no run of the program."""
    name = Path(argv[0]).name if argv else ""
    if name == "run.py":
        start = ["python", "-m", "search.run"]
    elif name == "branchpoint":
        start = [name]
    else:
        return []
    return start + [without_login(_without_home(argument)) for argument in argv[1:]]


def without_login(argument: str) -> str:
    """Leave out who and with what password somebody logs in, in whatever address is in it."""
    return re.sub(r"(\w://)[^/@\s]*@", r"\1***@", argument)


def _without_home(argument: str) -> str:
    """Write the home folder as "~", wherever in the argument a path may begin."""
    home = str(Path.home())
    if len(home) < 2:
        return argument
    return re.sub(rf"(^|=){re.escape(home)}(?=/|$)", r"\1~", argument)


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a checkout that is not installed
            continue
    return found


def _git() -> tuple[str | None, bool | None]:
    """Return the commit of this code and whether files differ from it; None outside a checkout."""
    if _run("git", "-C", str(_ROOT), "ls-files", "--error-unmatch", __file__) is None:
        return None, None
    commit = _run("git", "-C", str(_ROOT), "rev-parse", "HEAD")
    changed = _run("git", "-C", str(_ROOT), "status", "--porcelain", "--untracked-files=no")
    return commit, None if changed is None else bool(changed)


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        return None


def _gpus() -> list[str]:
    """Return the GPUs' names; asked of the driver's tool, since torch would take memory on each."""
    found = _run("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    return found.splitlines() if found else []


def _run(*arguments: str) -> str | None:
    """Return what the program prints; None when it is missing or fails."""
    try:
        done = subprocess.run(
            arguments, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
