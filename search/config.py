"""What the `search` section of a space may say: `SearchConfig`."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from mtl_core.fields import CLOSED, Count, CountOrZero, Positive, PositiveOrZero, Share
from search.affinity.config import AffinityConfig

Factor = Annotated[int, Field(strict=True, ge=2)]
PartOfCpus = Annotated[float, Field(strict=True, ge=0.01, allow_inf_nan=False)]  # Ray rounds it
OneAtMost = Annotated[float, Field(strict=True, ge=0, le=1)]


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class EarlyStoppingConfig:
    """ASHA (Li et al., 2020): at each rung only the best of the trials seen so far go on.

    Args:
        grace_period_epochs: Epochs that every trial gets; the first rung.
        reduction_factor: One trial in so many passes a rung, and rungs grow by it.
    """

    grace_period_epochs: Count = 2
    reduction_factor: Factor = 3


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class ConfirmConfig:
    """How the best of a search are trained anew, with fresh seeds, before they are tested.

    Args:
        seeds: Trainings of each shortlisted configuration; 0: none, the leaders of the search are
            tested as they are.
        max_seeds: Where the interval of a configuration against the best, or of the best against
            single-task training, still covers zero on dev, both are trained again, up to so often.
        share: Of `search.minutes`, the part that the search leaves to the confirmation.
        minutes: Time after which no training goes on, whatever `search.minutes` would leave; what
            earlier runs of the study took counts. None: no limit of its own.
    """

    seeds: CountOrZero = 3
    max_seeds: CountOrZero = 5
    share: Share = 0.4
    minutes: Positive | None = None


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class FailuresConfig:
    """When a search is given up, because what goes wrong is more than single configurations.

    Args:
        share: Of the trials that have ended, the part that may have failed (by a fault, a loss that
            could not be made good, a loss that is not a number); where more have, the search ends.
            1: never.
        least: Trials that must have ended before.
    """

    share: Share = 0.3
    least: Count = 5


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class SearchConfig:
    """How a space is searched.

    Args:
        mode: "find" is one search over everything, which goes where it pays; "compare" gives every
            arm a search of its own with as many trials, none stopped early (`compare.py`).
        arms: The keys whose values are compared. In both modes the best of each arm is confirmed.
        objective: What is maximised on dev: "mean" of the tasks, "worst_task", "task:NAME", or
            weights by task name, of which those not named count nothing. An epoch is chosen by it
            too; `training.patience` goes by the mean.
        trials: Configurations to try, the `points` among them, in all arms together.
        minutes: Time that search and confirmation take together at most; trials and runs in
            training then stay as they are, and what earlier runs of the study took counts. None: no
            limit.
        seed: Of the sampler and, through it, of every trial.
        sampler: "tpe", "random", or "grid" (every configuration of a finite space).
        startup_trials: Random trials before TPE learns from results; None: chosen by the number of
            workers.
        workers: Trials at the same time at most; None: as many as there are lanes. With 1 a study
            is the same each time.
        lanes: Trials that one engine trains side by side; None: as many as pay, which is measured
            at the start of a study and kept with it.
        cpus_per_trial: CPUs of one engine, however many trials it trains.
        gpus_per_trial: The part of a GPU that one engine may take; 0: it trains on CPUs. More than
            one would be of no use to it.
        retries: How often a trial goes on whose worker was lost.
        hang_minutes: A trial whose engine takes no step for so long has failed, and the engine is
            started anew; building it counts as one step.
        failures: How many trials may fail before the search is given up.
        early_stopping: None: every trial gets all its epochs.
        confirm: How the best are confirmed.
        scale: How the mean over tasks of different metrics is told: the scores as they are, or the
            points gained over the majority baseline or over the best single-task model. The same is
            taken from a task's score in every trial, so trials stand in one order on all scales.
        affinity: How long it is measured how tasks relate, once the search has ended.
    """

    mode: Literal["find", "compare"] = "find"
    arms: tuple[str, ...] = ("sharing.structure",)
    objective: str | dict[str, PositiveOrZero] = "mean"
    trials: Count = 40
    minutes: Positive | None = None
    seed: CountOrZero = 0
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    startup_trials: CountOrZero | None = None
    workers: Count | None = None
    lanes: Count | None = None
    cpus_per_trial: PartOfCpus = 1.0
    gpus_per_trial: OneAtMost = 0.0
    retries: CountOrZero = 3
    hang_minutes: Positive = 60.0
    failures: FailuresConfig = Field(default_factory=FailuresConfig)
    early_stopping: EarlyStoppingConfig | None = Field(default_factory=EarlyStoppingConfig)
    confirm: ConfirmConfig = Field(default_factory=ConfirmConfig)
    scale: Literal["score", "over_majority", "over_single_task"] = "score"
    affinity: AffinityConfig = Field(default_factory=AffinityConfig)

    @property
    def threads(self) -> int:
        """How many threads of PyTorch an engine has, and what trains outside of engines."""
        return max(1, int(self.cpus_per_trial))

    @property
    def stopping(self) -> EarlyStoppingConfig | None:
        """How trials are stopped early, if they are."""
        return None if self.mode == "compare" else self.early_stopping
