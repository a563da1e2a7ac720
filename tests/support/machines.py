"""Clusters of several machines, which are raylets of this computer; and ports that are free."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import ray  # noqa: TID251
from ray.cluster_utils import Cluster  # noqa: TID251

from search.ray_settings import settings, silence  # noqa: TID251


@contextmanager
def machines(**of_head: Any) -> Iterator[Cluster]:
    """Start a cluster of a head alone, without a dashboard unless asked for; end it.

    Its workers find this folder too, as they import the test file whose classes they are sent.
    """
    support = patch.dict(os.environ, PYTHONPATH=str(Path(__file__).parent))
    with support, settings(), silence():
        head = {"include_dashboard": False, **of_head}
        made = Cluster(initialize_head=True, head_node_args=head)
        try:
            yield made
        finally:
            ray.shutdown()
            made.shutdown()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
