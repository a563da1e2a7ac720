"""One trial as Ray Tune sees it: a client that asks an engine for a lane, and hands on its epochs.

The client is a process, since that is what a trial is to Tune, and there are as many as lanes; so
it stays small: neither torch nor any other part of the training is imported here. It takes no CPU,
only memory, and is kept from trial to trial. What trains is in `engines.py`; the driver says where
(`engine_pool.py`), and frees the lane when the trial has ended.

What goes wrong inside a trial is its result, not an error of Tune's: `{"failure": {kind, reason,
traceback}}`. So Tune retries what was lost with its client or engine, and that alone. What the
results mean is written down by `callback.py`.
"""

import time
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, GetTimeoutError, RayError
from ray.tune import Trainable

from search.failure import EngineLost, describe_failure

ANSWER_SECONDS = 60.0  # that an engine may take to say where it is
CAUSE_SECONDS, ASK_AGAIN_SECONDS = 10.0, 0.5  # that Ray may take to find out what was lost
MEMORY_BYTES = 130 * 2**20  # of one client, that no other process shares


class SearchTrial(Trainable):
    """Trains the configuration of its Tune config, one epoch a step (see `searcher.py`)."""

    def setup(self, config: dict[str, Any]) -> None:
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Forget the last configuration; a lane for the new one is opened in the first step."""
        self._proposal = new_config
        self._engine: Any = None
        return True

    def step(self) -> dict[str, Any]:
        try:
            return self._train_epoch()
        except EngineLost:
            raise
        except Exception as error:  # a crashed trial is a result; the client lives on
            return {"failure": describe_failure(error), "done": True}

    def _train_epoch(self) -> dict[str, Any]:
        proposal = self._proposal
        try:
            if self._engine is None:
                name = actor_name(proposal["study"], proposal["engine"])
                self._engine = ray.get_actor(name)
                # An engine that is still being started is waited for.
                ray.get(self._engine.open.remote(proposal["lane"], proposal))
            return self._next_result(proposal["lane"], proposal["hang_seconds"])
        except (RayError, ValueError) as error:  # ValueError: there is no such actor
            raise EngineLost(in_one_line(cause_of(error, self._engine))) from None

    def _next_result(self, lane: str, seconds: float) -> dict[str, Any]:
        """Return the lane's next result, or a failure where the engine hangs.

        It hangs where it takes no step for so long, or for half of it at least: a lane may wait
        for longer than that while others go on.
        """
        answer, before = self._engine.epoch.remote(lane), None
        while not ray.wait([answer], timeout=seconds / 2)[0]:
            try:
                pulse = ray.get(self._engine.pulse.remote(), timeout=ANSWER_SECONDS)
            except GetTimeoutError:
                return hang(seconds, None)
            if pulse["steps"] == before:
                return hang(seconds, pulse["at"])
            before = pulse["steps"]
        result: dict[str, Any] = ray.get(answer)
        return result


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


def hang(seconds: float, at: str | None) -> dict[str, Any]:
    """Return the result of a trial whose engine takes no step.

    Args:
        at: Where its thread is, if it could be asked.
    """
    reason = f"its engine took no step for {seconds / 60:g} minutes (search.hang_minutes)"
    failure = {"kind": "hang", "reason": reason, "traceback": at}
    return {"failure": failure, "done": True}


def in_one_line(error: Exception) -> str:
    """Return what Ray says of why there is no result."""
    return " ".join(f"{type(error).__name__}: {getattr(error, 'cause', None) or error}".split())
