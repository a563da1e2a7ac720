"""Ray under a search: a cluster of this machine alone, or one that is joined.

Starting one is in `local_ray.py`, joining one in `remote_ray.py`; how many engines fit is told by
`rooms.py`. A local cluster belongs to one search: it listens on this machine, ends with the search,
and dies with its driver, so a killed search never stands in the way of the next one.
"""

import gc
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mtl_core.errors import ConfigError
from search.config import SearchConfig
from search.local_ray import start_local
from search.ray_settings import settings, silence
from search.remote_ray import join
from search.rooms import machines, machines_in_words, no_room, rooms_on, wanted


@dataclass(frozen=True)
class Cluster:
    """The cluster a search runs on.

    Args:
        engines: How many it has room for, or fewer where fewer trials are wanted at a time.
        memory_share: The part of its machine's memory that is left to one engine.
        dashboard: Address of Ray's dashboard, if it runs.
        words: What it is, for the first line a user sees.
        elastic: Machines may join and leave it, and others use it too.
    """

    engines: int
    dashboard: str | None
    words: str
    memory_share: float = 1.0
    elastic: bool = False


@contextmanager
def joined(
    address: str | None, config: SearchConfig, *, insecure: bool = False
) -> Iterator[Cluster]:
    """Start Ray on this machine, or join the cluster at `address`; leave it at the end.

    A cluster that this process has joined already, as in a notebook, is used and left as it is.

    Args:
        insecure: Join a cluster that asks for no token.

    Raises:
        ConfigError: No cluster at `address`, one that asks for no token, or no room for a single
            trial.
    """
    with settings(), silence():
        import ray

        if ray.is_initialized():
            yield _describe(config, "Ray cluster joined before", None, elastic=True)
            return
        try:
            context = join(address, insecure=insecure) if address else start_local()
            place = f"Ray cluster {address}" if address else "this machine"
            dashboard, elastic = context.dashboard_url or None, address is not None
            yield _describe(config, place, dashboard, elastic=elastic)
        finally:
            _leave(local=address is None)


def _describe(config: SearchConfig, place: str, dashboard: str | None, *, elastic: bool) -> Cluster:
    nodes = machines()
    rooms = rooms_on(config, nodes)
    engines = wanted(config, sum(rooms), elastic=elastic)
    if engines == 0:
        raise ConfigError(no_room(config, nodes))
    words = f"{place}, {machines_in_words(config, nodes, rooms)}"
    share = 1 / max(1, min(engines, max(rooms)))
    return Cluster(
        engines=engines, dashboard=dashboard, words=words, memory_share=share, elastic=elastic
    )


def _leave(*, local: bool) -> None:
    """Leave the cluster; of one that was ours the log files go too."""
    import ray

    if not ray.is_initialized():
        return
    node = getattr(ray.get_runtime_context().worker, "node", None) if local else None
    session = Path(node.get_session_dir_path()) if node is not None else None
    with _no_garbage():
        ray.shutdown()
    if session is not None and session.name.startswith("session_"):
        shutil.rmtree(session, ignore_errors=True)


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Collect garbage now, and none meanwhile.

    Tune leaves handles of actors in cycles. If another thread (`ahead.py`) happens to collect them
    in the middle of a shutdown, Ray ends the process on the spot, without a traceback.
    """
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
