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
from ray.exceptions import RayError
from ray.tune import Trainable

from search.failure import EngineLost, describe_failure

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
                self._engine = ray.get_actor(proposal["engine"])
                # An engine that is being started anew is waited for.
                opening = self._engine.open.options(max_task_retries=-1)
                ray.get(opening.remote(proposal["lane"], proposal))
            return ray.get(self._engine.epoch.remote(proposal["lane"]))
        except (RayError, ValueError) as error:  # ValueError: there is no such actor
            raise EngineLost(lost_in_words(error)) from None


def lost_in_words(error: Exception) -> str:
    """Say in one line why Ray could not bring a result."""
    cause = getattr(error, "cause", None) or error
    text = " ".join(str(cause).split())
    _, found, detail = text.partition("Worker exit detail: ")
    return detail if found else text
