"""One trial as Ray Tune sees it: a client that asks an engine for a lane, and hands on its epochs.

The client is a process, since that is what a trial is to Tune, and there are as many as lanes; so
it stays small: neither torch nor any other part of the training is imported here. It takes no CPU,
only memory, and is kept from trial to trial. What trains is in `engines.py`; the driver says where
(`engine_pool.py`), and frees the lane when the trial has ended.

What goes wrong inside a trial is its result, not an error of Tune's: `{"failure": {kind, reason,
traceback}}`. So Tune retries what was lost with its client or engine, and that alone. What the
results mean is written down by `callback.py`.
"""

from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.tune import Trainable

from search.contact import actor_name, cause_of
from search.failure import GONE, HANGS, EngineLost, describe_failure

MOST_HANGS = 2  # of engines that trained a trial, after which it is taken to be the reason
HUNG_TOO_OFTEN = f"{MOST_HANGS} engines hung while they trained it (search.hang_minutes)"
ANSWER_SECONDS = 60.0  # that an engine may take to say where it is
MEMORY_BYTES = 130 * 2**20  # of one client, that no other process shares


class SearchTrial(Trainable):
    """Trains the configuration of its Tune config, one epoch a step (see `searcher.py`)."""

    def setup(self, config: dict[str, Any]) -> None:
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Forget the last configuration; a lane for the new one is opened in the first step."""
        self._proposal = new_config
        self._engine: Any = None
        self._last: dict[str, Any] = {}
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
        if proposal.get("hung", 0) >= MOST_HANGS:
            failure = {"kind": "hang", "reason": HUNG_TOO_OFTEN, "traceback": None}
            return {"failure": failure, "done": True}
        try:
            if self._engine is None:
                name = actor_name(proposal["study"], proposal["engine"])
                self._engine = self._look_up(name)
                # An engine that is still being started is waited for.
                ray.get(self._engine.open.remote(proposal["lane"], proposal))
            self._last = self._next_result(proposal["lane"], proposal["hang_seconds"])
        except EngineLost:  # the engine's own too, which come as a RayError besides
            raise
        except RayError as error:
            raise EngineLost(in_one_line(cause_of(error, self._engine))) from None
        return self._last

    def _look_up(self, name: str) -> Any:
        try:
            return ray.get_actor(name)
        except ValueError:
            raise EngineLost(f"{name} {GONE}") from None

    def _next_result(self, lane: str, seconds: float) -> dict[str, Any]:
        """Return the lane's next result.

        Raises:
            EngineLost: The engine takes no step for so long, or for half of it at least. A lane may
                wait for longer than that while others go on.
        """
        shown = in_a_dashboard(self._proposal, self._last)
        answer, before = self._engine.epoch.options(name=shown).remote(lane), None
        while not ray.wait([answer], timeout=seconds / 2)[0]:
            try:
                pulse = ray.get(self._engine.pulse.remote(), timeout=ANSWER_SECONDS)
            except GetTimeoutError:
                raise EngineLost(hang_in_words(seconds, None)) from None
            if pulse["steps"] == before:
                raise EngineLost(hang_in_words(seconds, pulse["at"]))
            before = pulse["steps"]
        result: dict[str, Any] = ray.get(answer)
        return result


def in_a_dashboard(proposal: dict[str, Any], last: dict[str, Any]) -> str:
    """Return what Ray calls the training of an epoch: "engine1: t0012 at 84.2, epoch 5".

    Its dashboard shows that, and so does the title of the engine's process.
    """
    score = last.get("average")
    at = "" if score is None else f" at {100 * score:.1f}"
    return f"{proposal['engine']}: {proposal['trial']}{at}, epoch {last.get('epoch', 0) + 1}"


def hang_in_words(seconds: float, at: str | None) -> str:
    """Say that an engine hangs.

    Args:
        at: Where its thread is, a traceback, if it could be asked.
    """
    where = f" at {' '.join(at.strip().splitlines()[-2:])}" if at else ""
    return f"it {HANGS} for {seconds / 60:g} minutes (search.hang_minutes){where}"


def in_one_line(error: Exception) -> str:
    """Return what Ray says of why there is no result."""
    return " ".join(f"{type(error).__name__}: {getattr(error, 'cause', None) or error}".split())
