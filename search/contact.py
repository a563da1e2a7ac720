"""How an engine is found on the cluster, and how it is found out why one does not answer.

The driver starts engines before it imports Tune, and clients import Tune and none of the driver's
part; so what both need is here.
"""

import time
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayError

CAUSE_SECONDS, ASK_AGAIN_SECONDS = 10.0, 0.5  # that Ray may take to find out what was lost


def actor_name(study: str, engine: str) -> str:
    """Return what Ray calls an engine, as its dashboard shows it."""
    return f"{study} {engine}"


def cause_of(error: Exception, engine: Any) -> Exception:
    """Return why an engine is lost: Ray learns that some seconds after it does not answer."""
    asked = 0.0
    while isinstance(error, ActorUnavailableError) and asked < CAUSE_SECONDS:
        time.sleep(ASK_AGAIN_SECONDS)
        asked += ASK_AGAIN_SECONDS
        try:
            ray.get(engine.pulse.remote(), timeout=CAUSE_SECONDS)
        except RayError as cause:
            error = cause
        else:
            break
    return error
