"""Which configuration is tried next: points first, then a sampler, and none twice.

`Proposer` is a function of the record and the seed: it keeps nothing that a new start would not
know, so a continued search proposes what an undisturbed one would have (`sampling.py` says how
Optuna is brought to that). Ray Tune's side is in `searcher.py`.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mtl_core.errors import ConfigError
from mtl_core.seeding import derive_seed, stream
from search.config import SearchConfig
from search.record import StudyRecord
from search.sampling import TpeSampling
from search.space import Space

Source = Literal["point", "random", "tpe", "grid"]

TPE_DRAWS = 10
RANDOM_DRAWS = 100
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
        self._seen: set[str] = set()
        self._n_seen = 0
        self._size = space.size()
        self._tpe = TpeSampling(space) if space.search.sampler == "tpe" else None
        self._grid: list[dict[str, Any]] | None = None
        if space.search.sampler == "grid":
            check_grid(space, self._size)

    def propose(self) -> Proposal | None:
        """Return the next configuration, or None and set `reason`; writes nothing."""
        number = len(self.record.trials) + 1
        self._look()
        if number > self.space.search.trials:
            self.reason = "trials"
            return None
        found = self._next(number)
        if found is None:
            self.reason = "exhausted"
            return None
        values, source = found
        return Proposal(
            trial=f"t{number:04}",
            number=number,
            values=values,
            config=self.space.configure(values).as_dict(),
            seed=derive_seed(self.seed, "trial", number),
            source=source,
        )

    def _look(self) -> None:
        """Take note of the trials that were proposed since the last look."""
        for trial in list(self.record.trials.values())[self._n_seen :]:
            self._seen.add(self.space.key(trial.values))
            self._n_seen += 1

    def _next(self, number: int) -> tuple[dict[str, Any], Source] | None:
        for candidate, source in self._candidates(number):
            if self.space.key(candidate) not in self._seen:
                return candidate, source
        return None

    def _candidates(self, number: int) -> Iterator[tuple[dict[str, Any], Source]]:
        """Yield configurations, new or not, in the order in which they should be taken."""
        yield from ((dict(point), "point") for point in self.space.points)
        if self.space.search.sampler == "grid":
            yield from ((values, "grid") for values in self._listed("grid"))
            return
        if self._tpe is not None and self._n_learnt() >= max(1, self.startup_trials):
            self._tpe.tell(self.record)
            for draw in range(TPE_DRAWS):
                yield self._tpe.draw(derive_seed(self.seed, "proposal", number, draw)), "tpe"
        for draw in range(RANDOM_DRAWS):
            yield self.space.sample(stream(self.seed, "random", number, draw)), "random"
        # So many draws without a new one: few can be left, if the space has an end at all.
        if self._size is not None:
            yield from ((values, "random") for values in self._listed("left", number))

    def _n_learnt(self) -> int:
        """Count the trials from which TPE learns; failed ones tell it nothing."""
        return sum(trial.state in ("finished", "stopped") for trial in self.record.trials.values())

    def _listed(self, *purpose: str | int) -> list[dict[str, Any]]:
        """Return all configurations not tried, in an order that depends on the purpose."""
        if self._grid is None:
            self._grid = list(self.space.enumerate())
        order = stream(self.seed, *purpose).permutation(len(self._grid))
        shuffled = (self._grid[i] for i in order)
        return [values for values in shuffled if self.space.key(values) not in self._seen]


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
