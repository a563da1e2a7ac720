"""How much memory processes take: of an engine with some lanes, and of all processes of a search.

Private is what a process shares with no other, so the sum over processes is what they take
together, beside libraries and the corpus, which are mapped once. Linux only.
"""

import multiprocessing
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lane_work import Trial

STEPS = 3  # of an engine, after which it has allocated what it needs
MIB = 2**20


@dataclass(frozen=True)
class Footprint:
    """Memory in bytes; `on_gpu` is the most that was allocated there."""

    resident: int
    private: int
    on_gpu: int = 0


def footprint(pid: int | str = "self") -> Footprint:
    """Return that of a process; raises `OSError` when it is gone."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    sizes = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines}
    return Footprint(sizes["Rss"], sizes["Private_Clean"] + sizes["Private_Dirty"])


def engine_footprint(corpus: Path, trials: Sequence[Trial], device: str) -> tuple[int, Footprint]:
    """Return how many of the trials got a lane, and what their engine took, in its own process."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_train, (corpus, list(trials), device))


def _train(path: Path, trials: Sequence[Trial], device: str) -> tuple[int, Footprint]:
    import torch

    from mtl_core.data.encoded import open_encoded
    from mtl_core.training.engine import Engine
    from mtl_core.training.results import NoRoom

    engine = Engine(open_encoded(path), device=device)
    try:
        for config, seed in trials:
            engine.open(config, seed, keep_best=False)
    except NoRoom:
        pass
    for _ in range(STEPS if engine.lanes else 0):
        engine.step()
    found = footprint()
    if device != "cpu":
        found = Footprint(found.resident, found.private, torch.cuda.max_memory_allocated())
    return len(engine.lanes), found


def search_footprints(
    command: Sequence[str], kinds: dict[str, str], interval_seconds: float = 0.5
) -> dict[str, list[Footprint]]:
    """Run a search; return for each kind of process the largest footprint of each.

    Args:
        command: What starts the driver.
        kinds: Part of the command line of such a process, in lower case, by kind; all others are
            "other".
    """
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as driver:
        largest: dict[tuple[str, int], Footprint] = {}
        while driver.poll() is None:
            for pid, line in with_descendants(driver.pid):
                kind = next((kind for kind, part in kinds.items() if part in line.lower()), "other")
                kind = "driver" if pid == driver.pid else kind
                try:
                    found = footprint(pid)
                except (OSError, KeyError):  # it has just ended
                    continue
                largest[kind, pid] = max(
                    found, largest.get((kind, pid), found), key=lambda f: f.private
                )
            time.sleep(interval_seconds)
        if driver.returncode:
            assert driver.stderr is not None
            raise RuntimeError(f"{' '.join(command)} failed:\n{driver.stderr.read().decode()}")
    by_kind: dict[str, list[Footprint]] = {}
    for (kind, _), found in largest.items():
        by_kind.setdefault(kind, []).append(found)
    return by_kind


def with_descendants(root: int) -> Iterator[tuple[int, str]]:
    """Yield number and command line of a process and of all that it started, however deep."""
    children: dict[int, list[int]] = {}
    lines: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        parent = int(stat.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(folder.name))
        lines[int(folder.name)] = line
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        if pid in lines:
            yield pid, lines[pid]
        waiting += children.get(pid, [])
