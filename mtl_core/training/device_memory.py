"""How much memory a device has, and which exceptions say that there was none left.

Of a GPU all of it counts, of a computer what can still be had.

Linux says what is available, and control groups what a container may take of it.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

_MEMORY_PHRASES = (
    *("out of memory", "can't allocate memory", "not enough memory"),
    *("bad_alloc", "alloc_failed", "cannot allocate memory"),
)


def is_memory_error(error: BaseException) -> bool:
    """Whether memory could not be had."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(p in str(error).lower() for p in _MEMORY_PHRASES)


def memory_of(device: torch.device) -> int:
    """Return the bytes of a GPU, or those that are available to this process now."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return available_memory()


def available_memory(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes that can still be had, within the limits of a container.

    Where the system says nothing of the kind (it is no Linux), all of its memory counts.
    """
    found = [*_of_machine(proc), *_of_containers(proc, cgroups)]
    if found:
        return max(0, min(found))
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return sys.maxsize


def _of_machine(proc: Path) -> Iterator[int]:
    for line in _read(proc / "meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _of_containers(proc: Path, cgroups: Path) -> Iterator[int]:
    """Yield what is left in each group that holds this process; a limit also binds those inside."""
    for line in _read(proc / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, limit, used, idle = (
            (cgroups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive")
            if controllers
            else (cgroups, "memory.max", "memory.current", "inactive")
        )
        group = root / path.strip("/")
        for folder in (group, *group.parents):
            most, taken = _read(folder / limit).strip(), _read(folder / used).strip()
            if most.isdigit() and taken.isdigit():
                yield int(most) - int(taken) + _file_pages(folder / "memory.stat", f"{idle}_file")
            if folder == root:
                break


def _file_pages(path: Path, name: str) -> int:
    """Return the bytes of files in memory that are let go when memory is wanted."""
    for line in _read(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
