"""Ray under a search: a cluster of this machine alone, or one that is joined.

Here is what Ray is told about: how many engines fit, which code they run, and that it keeps quiet
(all that a user sees is ours). A local cluster belongs to one search: it listens on this machine,
ends with the search, and dies with its driver, so a killed search never stands in the way of the
next one.
"""

import gc
import logging
import math
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_core.errors import ConfigError
from search.config import SearchConfig
from search.local_ray import init, local_cpus, start_local

CONNECT_SECONDS, STRANGER_SECONDS = 10, 30
RAY_DIGITS = 4  # of the parts of CPUs and GPUs
_STRANGER = (
    "import sys; from ray._raylet import GcsClient; "
    "GcsClient(address=sys.argv[1]).internal_kv_keys(b'', None, 5)"
)
SOURCE = Path(__file__).resolve().parents[1]

# Read by Ray when it is imported, when it starts, or in the workers, which inherit them.
_SETTINGS = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_task_events_max_num_task_in_gcs": "1000",  # of 100,000, which took 350 MB in a long search
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1e12",  # the journal is the truth; Tune writes no snapshots
    "TUNE_MAX_PENDING_TRIALS_PG": "64",  # workers start together; `searcher.py` bounds their number
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "1000000",
}


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


def local_engines(config: SearchConfig) -> int:
    """Return how many engines run on this machine, as far as CPUs decide."""
    room = max(1, math.floor(local_cpus() / config.cpus_per_trial))
    return min(config.workers or room, room)


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
    with _settings(), _silence():
        import ray

        if ray.is_initialized():
            yield _describe(config, "Ray cluster joined before", None, elastic=True)
            return
        try:
            context = _join(address, insecure=insecure) if address else start_local(config)
            place = f"Ray cluster {address}" if address else "this machine"
            dashboard, elastic = context.dashboard_url or None, address is not None
            yield _describe(config, place, dashboard, elastic=elastic)
        finally:
            _leave(local=address is None)


@contextmanager
def _settings() -> Iterator[None]:
    """Have Ray's settings in the environment; a setting the user has made himself stands."""
    new = {key: value for key, value in _SETTINGS.items() if key not in os.environ}
    paths = [str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])]
    former = os.environ.get("PYTHONPATH")
    os.environ.update(new, PYTHONPATH=os.pathsep.join(paths))
    try:
        yield
    finally:
        for key in new:
            os.environ.pop(key, None)
        if former is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = former


@contextmanager
def _silence() -> Iterator[None]:
    """Keep Ray's log, and what it prints of lost workers, off the terminal."""
    from ray._private.ray_logging import stdout_deduplicator

    logger = logging.getLogger("ray")
    level, skipped = logger.level, stdout_deduplicator.skip_re
    logger.setLevel(logging.CRITICAL)
    stdout_deduplicator.skip_re = re.compile("")  # every line
    try:
        yield
    finally:
        logger.setLevel(level)
        stdout_deduplicator.skip_re = skipped


def _join(address: str, *, insecure: bool) -> Any:
    """Join a cluster; its workers get our code as it is here, and need our dependencies only."""
    _check_reachable(address)
    context = _connect(address)
    if not (insecure or _asks_for_token()):
        _leave(local=False)
        raise ConfigError(
            f"--address {address}: this cluster asks for no token, so whoever reaches its ports "
            "can run programs on all of its machines; start it with RAY_AUTH_MODE=token, or join "
            "it all the same with --insecure where nobody else can reach it"
        )
    return context


def _asks_for_token() -> bool:
    """Whether the cluster that was joined turns away a process that has no token.

    That this one has sent its own says nothing: a cluster without takes it as well (Ray 2.60). So
    a stranger is sent; where it cannot tell, what this process has counts.
    """
    import ray
    from ray._private.authentication.authentication_utils import is_token_auth_enabled

    bare = {key: value for key, value in os.environ.items() if not key.startswith("RAY_AUTH")}
    try:
        stranger = subprocess.run(
            [sys.executable, "-c", _STRANGER, ray.get_runtime_context().gcs_address],
            env=bare | {"RAY_AUTH_MODE": "disabled"},
            capture_output=True,
            timeout=STRANGER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return bool(is_token_auth_enabled())
    turned_away = b"AuthToken" in stranger.stderr
    return stranger.returncode != 0 and (turned_away or bool(is_token_auth_enabled()))


def _connect(address: str) -> Any:
    modules = [str(SOURCE / name) for name in ("mtl_core", "search")]
    environment = {"py_modules": modules, "env_vars": dict(_SETTINGS)}
    try:
        return _init_with_or_without_token(address=address, runtime_env=environment)
    except Exception as error:  # Ray raises ConnectionError, RuntimeError and errors of its own
        raise ConfigError(
            f"--address {address}: cannot join the Ray cluster: {' '.join(str(error).split())}; "
            "HOST:PORT of a running cluster of the same Ray version would be right, and its token "
            "in RAY_AUTH_TOKEN or ~/.ray/auth_token if it demands one"
        ) from error


def _init_with_or_without_token(**options: Any) -> Any:
    """Join without a token, then with the one that is here: neither side says what it expects.

    A cluster demands a token where its head found one, and cannot run actors for a driver that
    sends one it did not ask for; so this order.
    """
    from ray._private.authentication import authentication_token_setup as tokens

    try:
        with _muted():
            return init(**options)
    except ConnectionError:
        had_mode = "RAY_AUTH_MODE" in os.environ
        if had_mode or not tokens.maybe_enable_token_auth_if_token_available(False):
            raise
        return init(**options)


@contextmanager
def _muted() -> Iterator[None]:
    """Send what Ray's C++ part writes to the error stream nowhere."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _check_reachable(address: str) -> None:
    """Raise a `ConfigError` where nobody listens; Ray itself would wait for minutes."""
    if address == "auto" or "://" in address:
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ConfigError(
            f"--address {address}: no Ray cluster answers there ({error}); HOST:PORT of a running "
            "cluster, or `auto`, would be right; without --address the search runs on this machine"
        ) from error


def engines_on_cluster(config: SearchConfig) -> int:
    """Return how many engines there should be by now, where machines come and go."""
    return _wanted(config, sum(_rooms(config, _machines())), elastic=True)


def _wanted(config: SearchConfig, room: int, *, elastic: bool) -> int:
    """Return how many engines there should be where there is room for so many.

    Where machines come as they are asked for, those that `workers` trials at a time need are asked
    for, whether there is room or not.
    """
    if config.workers is None:
        return room
    needed = math.ceil(config.workers / (config.lanes or 1))
    return needed if elastic else min(needed, room)


def _machines() -> list[dict[str, float]]:
    """Return the resources of each machine of the cluster."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _rooms(config: SearchConfig, nodes: list[dict[str, float]]) -> list[int]:
    """Return how many engines fit on each machine."""
    need = _need(config)
    rooms = [math.floor(node.get("CPU", 0) / need["CPU"]) for node in nodes]
    if not need["GPU"]:
        return rooms
    each = math.floor(1 / need["GPU"])  # of one GPU: an engine gets no parts of two
    of_gpus = [each * math.floor(node.get("GPU", 0)) for node in nodes]
    return list(map(min, rooms, of_gpus))


def _need(config: SearchConfig) -> dict[str, float]:
    """Return what Ray is asked for, which it rounds."""
    asked = {"CPU": config.cpus_per_trial, "GPU": config.gpus_per_trial}
    return {kind: round(count, RAY_DIGITS) for kind, count in asked.items()}


def _describe(config: SearchConfig, place: str, dashboard: str | None, *, elastic: bool) -> Cluster:
    nodes = _machines()
    rooms = _rooms(config, nodes)
    engines = _wanted(config, sum(rooms), elastic=elastic)
    if engines == 0:
        raise ConfigError(_no_room(nodes, _need(config)))
    words = f"{place}, {_in_words(config, nodes, rooms)}"
    share = 1 / max(1, min(engines, max(rooms)))
    return Cluster(
        engines=engines, dashboard=dashboard, words=words, memory_share=share, elastic=elastic
    )


def _in_words(config: SearchConfig, nodes: list[dict[str, float]], rooms: list[int]) -> str:
    """Return the CPUs and GPUs that there are, and which of these get no engine.

    Ray gives one GPU to engines until it is full before it takes the next.
    """
    cpus, gpus = (int(sum(node.get(kind, 0) for node in nodes)) for kind in ("CPU", "GPU"))
    words = f"{cpus} CPUs" + (f", {gpus} GPUs" if gpus else "")
    part = _need(config)["GPU"]
    taken = sum(math.ceil(room / math.floor(1 / part)) for room in rooms) if part else 0
    if taken == gpus:
        return words
    why = "cpus_per_trial leaves no CPUs for an engine there" if part else "gpus_per_trial is 0"
    return f"{words} ({gpus - taken} idle: search.{why})"


def _no_room(nodes: list[dict[str, float]], need: dict[str, float]) -> list[str]:
    faults = []
    for kind, count in need.items():
        most = max((node.get(kind, 0) for node in nodes), default=0)
        if count > most:
            key = f"search.{kind.lower()}s_per_trial"
            right = "at most that many would be right" if most else f"--set {key}=0 does without"
            faults.append(
                f"{key}: found {count:g}, the largest machine has {most:g} {kind}s; {right}"
            )
    return faults or ["search: no machine has the CPUs and GPUs of one trial together"]


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
