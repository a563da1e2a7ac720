"""Ray on this machine alone: who could reach it, and what it does without."""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import ray

from mtl_core.errors import ConfigError
from search import local_ray
from search.cluster import joined
from search.config import SearchConfig

pytestmark = pytest.mark.cluster

LISTENING = "0A"
LOOPBACK = ("127.", "::1", "::ffff:127.")


def descendants(pid: int) -> Iterator[int]:
    yield pid
    children: list[str] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # threads and processes come and go
            children += task.read_text().split()
    for child in children:
        yield from descendants(int(child))


def listening() -> dict[str, str]:
    """Return the addresses that sockets of this machine listen on, by inode."""
    found = {}
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path("/proc/net", name).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING:
                raw = bytes.fromhex(fields[1].partition(":")[0])
                words = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))
                found[fields[9]] = socket.inet_ntop(family, words)
    return found


def addresses_of(pids: set[int]) -> set[str]:
    known = listening()
    links = [link for pid in pids for link in Path(f"/proc/{pid}/fd").glob("*")]
    targets = []
    for link in links:
        with suppress(FileNotFoundError):  # closed since then
            targets.append(os.readlink(link))
    inodes = {target.partition("[")[2].rstrip("]") for target in targets}
    return {address for inode, address in known.items() if inode in inodes}


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux says who listens")
def test_nothing_of_a_local_search_listens_beyond_this_machine() -> None:
    with joined(None, SearchConfig()):

        @ray.remote(num_cpus=0)
        class Worker:
            def pid(self) -> int:
                return os.getpid()

        worker = ray.get(Worker.remote().pid.remote())  # type: ignore[attr-defined]
        pids = {*descendants(os.getpid()), worker}
        found = addresses_of(pids)

    assert len(pids) > 3
    assert found
    assert {address for address in found if not address.startswith(LOOPBACK)} == set()


def test_where_packages_of_rays_dashboard_are_missing_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing = ModuleNotFoundError("No module named 'aiohttp_cors'")
    monkeypatch.setattr("ray._private.utils.get_dashboard_dependency_error", lambda: missing)
    monkeypatch.setattr(local_ray, "DASHBOARD_CPUS", 1)

    with joined(None, SearchConfig()) as cluster:
        assert cluster.dashboard is None
        assert ray.get(ray.remote(num_cpus=0)(lambda: 5).remote()) == 5


def test_a_machine_on_which_ray_does_not_come_up_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def time_out(**_: object) -> None:
        raise Exception("The current node timed out during startup. This could happen because ...")

    monkeypatch.setattr(ray, "init", time_out)

    wanted = "does not start on this machine: The current node timed out during startup; the same"
    with pytest.raises(ConfigError, match=wanted), joined(None, SearchConfig()):
        pass
