"""The task weightings by name: how much each task's loss counts.

Each entry builds the method for the tasks of a trial. A new method is a file with a subclass of
`TaskWeighting` and a line here; the training loop does not change.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mtl_core.errors import check_names
from mtl_core.weighting.config import WeightingConfig
from mtl_core.weighting.dwa import DynamicWeightAverage
from mtl_core.weighting.fixed import FixedWeights, equal_weights, size_weights, static_weights
from mtl_core.weighting.random_weights import RandomWeights
from mtl_core.weighting.task_weighting import TaskWeighting
from mtl_core.weighting.uncertainty import Uncertainty


@dataclass(frozen=True, kw_only=True)
class WeightingSetup:
    """What a method is built from: its parameters, and the tasks with their train rows."""

    config: WeightingConfig
    names: Sequence[str]
    n_rows: Sequence[int]
    seed: int


METHODS: dict[str, Callable[[WeightingSetup], TaskWeighting]] = {
    "equal": lambda s: FixedWeights(equal_weights(len(s.names))),
    "static": lambda s: FixedWeights(static_weights(s.config.weights, s.names)),
    "size": lambda s: FixedWeights(size_weights(s.n_rows, s.config.size_temperature)),
    "uncertainty": lambda s: Uncertainty(len(s.names)),
    "dwa": lambda s: DynamicWeightAverage(len(s.names), s.config.dwa_temperature),
    "random": lambda s: RandomWeights(len(s.names), s.seed),
}


def build_weighting(
    config: WeightingConfig, names: Sequence[str], *, n_rows: Sequence[int], seed: int
) -> TaskWeighting:
    """Return the task weighting of `config`; raises `ConfigError` for an unknown name.

    Args:
        names: The K tasks, in the order of the losses.
        n_rows: Train rows of each task.
        seed: Of the trial; only methods that draw use it.
    """
    check_names([config.method], METHODS, where="weighting.method")
    setup = WeightingSetup(config=config, names=names, n_rows=n_rows, seed=seed)
    return METHODS[config.method](setup)
