"""`branchpoint watch`, and `--watch` of a search: the live report of a study, served meanwhile."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mtl_core.errors import ConfigError
from search.bucket import is_address


def watch_study(
    folder: str, *, host: str, port: int, wait: bool, say: Callable[[str], None]
) -> None:
    """Serve the live report of a study until Ctrl-C.

    Args:
        host: The address to listen on.
        port: 0: any that is free.
        wait: The study may begin later.

    Raises:
        ConfigError: No study can be followed there, or the address is none of this machine.
    """
    from search.live_report import LiveReport  # a driver with `--watch` does without
    from search.watch import Watch

    if is_address(folder):
        raise ConfigError(f"{folder}: only files of this machine are followed; --watch is there")
    if not (wait or Path(folder).is_dir()):
        raise ConfigError(f"{folder}: no such folder; --wait waits for a study to begin there")
    server = Watch(LiveReport(Path(folder)), host, port)
    say(f"{folder}: live report at {server.address} (Ctrl-C ends it)")
    try:
        server.serve()
    except KeyboardInterrupt:
        say("no longer served")


@contextmanager
def served(folder: Path) -> Iterator[None]:
    """Have a process of its own serve the live report, which takes the driver no time."""
    program = "from search.run import main; main()"
    server = subprocess.Popen([sys.executable, "-c", program, "watch", str(folder), "--wait"])
    try:
        yield
    finally:
        server.terminate()
        server.wait()
