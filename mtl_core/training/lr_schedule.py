"""What the learning rate does in the course of a training: a factor of its full value.

It rises in a straight line over the warm-up, and then stays (`constant`) or falls to 0 at the end,
in a straight line (`linear`) or along half a cosine (`cosine`; Loshchilov and Hutter, 2017).
"""

import math
from collections.abc import Callable

from mtl_core.training.config import TrainingConfig

# What is left of the rate when a share (0 to 1) of the steps after the warm-up is done.
LR_SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,  # noqa: ARG005 - all three take the share
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: (1.0 + math.cos(math.pi * done)) / 2,
}


def lr_factor(config: TrainingConfig, progress: float) -> float:
    """Return the factor of the learning rates at `progress`, the share of the training done.

    Progress is taken at the middle of a step, so neither the first nor the last step is lost to a
    rate of 0.
    """
    if progress < config.warmup:
        return progress / config.warmup
    return LR_SCHEDULES[config.lr_schedule]((progress - config.warmup) / (1.0 - config.warmup))
