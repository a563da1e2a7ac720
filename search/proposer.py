"""Which configuration is tried next: points first, then a sampler, and none twice.

`Proposer` is a function of the record and the seed: it keeps nothing that a new start would not
know, so a continued search proposes what an undisturbed one would have (`sampling.py` says how
Optuna is brought to that). In `mode: compare` it goes round the arms, each with candidates of its
own (`candidates.py`). Ray Tune's side is in `searcher.py`.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from mtl_core.errors import ConfigError
from search.candidates import Candidates, Source
from search.compare import arm_keys, arms_of
from search.config import SearchConfig
from search.record import StudyRecord
from search.space import Space

LARGEST_GRID = 100_000


@dataclass(frozen=True)
class Proposal:
    """A configuration to try; its fields are those of the event "proposed".

    Args:
        values: The searched, active keys; `config` is the whole `TrialConfig.as_dict()`.
        seed: Of everything random in the trial.
        source: What proposed it; the start-up trials of TPE are "random".
    """

    trial: str
    number: int
    values: dict[str, Any]
    config: dict[str, Any]
    seed: int
    source: Source

    def as_event(self) -> dict[str, Any]:
        return asdict(self)


class Proposer:
    """Proposes the next configuration of a space, given all that the record holds.

    Args:
        seed: Of the proposals and, through them, of the trials; `space.search.seed` by default.
        workers: Trials at the same time, which the number of start-up trials depends on.

    Attributes:
        reason: Why there is no further proposal: "trials" (as many as asked for), "exhausted"
            (every configuration of the space was tried), or None.
    """

    def __init__(
        self, space: Space, record: StudyRecord, seed: int | None = None, *, workers: int = 1
    ) -> None:
        self.space, self.record = space, record
        self.seed = space.search.seed if seed is None else seed
        self.reason: Literal["trials", "exhausted"] | None = None
        self.startup_trials = startup_trials(space.search, workers)
        if space.search.sampler == "grid":
            check_grid(space, space.size())
        if space.search.mode == "compare":
            arms = arms_of(space.conditional, arm_keys(space.search))
            self._candidates = [Candidates(space, self.seed, arm) for arm in arms]
        else:
            self._candidates = [Candidates(space, self.seed)]
        self._each = space.search.trials // len(self._candidates)
        self._n_seen = 0

    def propose(self) -> Proposal | None:
        """Return the next configuration, or None and set `reason`; writes nothing."""
        self._look()
        open_ones = [one for one in self._candidates if len(one.trials) < self._each]
        for candidates in sorted(open_ones, key=lambda one: len(one.trials)):  # the first of equals
            found = candidates.next(self.record, self.startup_trials)
            if found is not None:
                return self._proposal(candidates.trial_seed(), *found)
        self.reason = "exhausted" if len(open_ones) == len(self._candidates) else "trials"
        return None

    def _proposal(self, seed: int, values: dict[str, Any], source: Source) -> Proposal:
        number = len(self.record.trials) + 1
        return Proposal(
            trial=f"t{number:04}",
            number=number,
            values=values,
            config=self.space.configure(values).as_dict(),
            seed=seed,
            source=source,
        )

    def _look(self) -> None:
        """Take note of the trials that were proposed since the last look."""
        for trial in list(self.record.trials.values())[self._n_seen :]:
            owner = next((one for one in self._candidates if one.has(trial.config)), None)
            if owner is not None:
                owner.note(trial)
            self._n_seen += 1


def startup_trials(search: SearchConfig, workers: int) -> int:
    """Return how many trials must have a result before TPE learns from them.

    Measured on a made-up layer-wise space (`tests/benchmarks/test_startup_trials.py`; 40 seeds, 48
    trials, points of accuracy by which the leader misses the best, error 0.1): with one worker 0.62
    after 10 start-up trials, 0.66 after 20; with eight workers 1.05 after 10, 16 and 24 alike, but
    the worst tenth of searches 2.2 after 10 and 1.7 after more; at random 1.25.
    """
    if search.startup_trials is not None:
        return search.startup_trials
    return min(max(10, 2 * workers), max(10, search.trials // 2))


def check_grid(space: Space, size: int | None) -> None:
    """Raise `ConfigError` where listing a space is no way to search it."""
    if size is not None and size > LARGEST_GRID:
        raise ConfigError(
            f"{space.path}: search.sampler: found 'grid' for {size:,} configurations, at most "
            f"{LARGEST_GRID:,} would be right; list fewer values, or take 'random', which tries "
            "none twice either"
        )
