"""Ray on this machine alone, with no more processes than a search has use for."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from mtl_core.errors import ConfigError

OBJECT_STORE_BYTES = 100 * 2**20  # trials pass numbers only; models and data go over the disk
DASHBOARD_CPUS = 4  # its ten processes would take the place of a trial on a smaller machine
_SEVERAL_MACHINES = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
_HELPERS = ("start_monitor", "start_log_monitor", "start_api_server")


def local_cpus() -> int:
    """Return the CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start_local() -> Any:
    """Start Ray for this process; it ends with it.

    Raises:
        ConfigError: Its processes do not come up, as on a machine that is far too busy.
    """
    cpus = local_cpus()
    with_dashboard = local_cpus() >= DASHBOARD_CPUS
    with _on_loopback(), nullcontext() if with_dashboard else _without_helpers():
        try:
            return init(
                address="local",
                num_cpus=cpus,
                # `True` would end the program where the packages of a dashboard are missing.
                include_dashboard=None if with_dashboard else False,
                object_store_memory=OBJECT_STORE_BYTES,
            )
        except Exception as error:  # Ray has no type of its own for it
            reason = " ".join(str(error).split()).partition(". ")[0]
            raise ConfigError(
                f"Ray does not start on this machine: {reason}; the same command again, where less "
                "else is running, would be right"
            ) from error


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Have all of Ray's servers listen on the loopback address alone.

    Ray does so by itself where a cluster of several machines is ruled out, as on macOS; elsewhere
    it listens on all addresses, even for a cluster of one process.
    """
    from ray._private import ray_constants

    former = os.environ.get(_SEVERAL_MACHINES), ray_constants.ENABLE_RAY_CLUSTER
    os.environ[_SEVERAL_MACHINES] = "0"  # which its processes inherit
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        os.environ.pop(_SEVERAL_MACHINES)
        if former[0] is not None:
            os.environ[_SEVERAL_MACHINES] = former[0]
        ray_constants.ENABLE_RAY_CLUSTER = former[1]


@contextmanager
def _without_helpers() -> Iterator[None]:
    """Leave out Ray's processes that a search of one small machine has no use for.

    Its autoscaler, its log shipper and the server of a dashboard that nobody sees take 160 MB, two
    seconds of CPU at the start and one at the end. Where another version of Ray starts them in
    another way, they are there as before.
    """
    from ray._private.node import Node

    kept = {name: getattr(Node, name) for name in _HELPERS if hasattr(Node, name)}
    for name in kept:
        setattr(Node, name, _start_nothing)
    try:
        yield
    finally:
        for name, start in kept.items():
            setattr(Node, name, start)


def _start_nothing(*_: Any, **__: Any) -> None:
    """Stand in for one of the helpers."""


def init(**options: Any) -> Any:
    """Start or join Ray without a word of it, and with the caller's handler of SIGTERM.

    Ray puts two of its own in the place of that (2.60), so that a search ended without saving.
    """
    import ray

    former = signal.getsignal(signal.SIGTERM)
    try:
        return ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **options)
    finally:
        if callable(former) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, former)
