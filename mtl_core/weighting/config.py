"""The name of the task weighting and its parameters."""

from pydantic.dataclasses import dataclass

from mtl_core.fields import CLOSED, Positive


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class WeightingConfig:
    """How much each task's loss counts (`methods.py`).

    Args:
        method: A name of `methods.METHODS`.
        weights: For "static": one per task by name, a task not named counts 1; normalised to sum to
            the number of tasks.
        size_temperature: For "size": a task of n rows counts n^(1/T), so large T is equal.
        dwa_temperature: T of dynamic weight averaging; 2 in the paper (Liu et al., 2019).
    """

    method: str = "equal"
    weights: dict[str, Positive] | None = None
    size_temperature: Positive = 2.0
    dwa_temperature: Positive = 2.0
