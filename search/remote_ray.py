"""Joining a Ray cluster that others have started: one that is there, trusted, and runs our code."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mtl_core.errors import ConfigError
from search.local_ray import init
from search.ray_settings import SETTINGS, SOURCE

CONNECT_SECONDS, STRANGER_SECONDS = 10, 30
_STRANGER = (
    "import sys; from ray._raylet import GcsClient; "
    "GcsClient(address=sys.argv[1]).internal_kv_keys(b'', None, 5)"
)


def join(address: str, *, insecure: bool) -> Any:
    """Join a cluster; its workers get our code as it is here, and need our dependencies only.

    Args:
        insecure: Join one that asks for no token.

    Raises:
        ConfigError: No cluster at `address`, or one that asks for no token; it is the caller that
            leaves it.
    """
    _check_reachable(address)
    context = _connect(address)
    if not (insecure or _asks_for_token()):
        raise ConfigError(
            f"--address {address}: this cluster asks for no token, so whoever reaches its ports "
            "can run programs on all of its machines; start it with RAY_AUTH_MODE=token, or join "
            "it all the same with --insecure where nobody else can reach it"
        )
    return context


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
    environment = {"py_modules": modules, "env_vars": dict(SETTINGS)}
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
