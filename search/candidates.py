"""The configurations of one arm, or of a whole space, in the order in which to try them.

Points first, then those of a sampler. `Candidates` knows its own trials alone, by the record: of
other arms neither results nor numbers reach it, so an arm is searched as it would be by itself.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from mtl_core.seeding import derive_seed, stream
from search.arms import Arm
from search.record import StudyRecord
from search.sampling import TpeSampling
from search.space import Space
from search.trial_record import TrialRecord

Source = Literal["point", "random", "tpe", "grid"]
Candidate = tuple[dict[str, Any], Source]

TPE_DRAWS = 10
RANDOM_DRAWS = 100


class Candidates:
    """What can be tried.

    Args:
        seed: Of all draws; those of an arm depend on its name too.
        arm: None: the whole space.

    Attributes:
        trials: Its trials so far, in the order of their numbers.
    """

    def __init__(self, space: Space, seed: int, arm: Arm | None = None) -> None:
        self.space, self.seed, self.arm = space, seed, arm
        self.trials: list[TrialRecord] = []
        self._seen: set[str] = set()
        self._names = () if arm is None else ("arm", arm.name)
        self._pinned = {} if arm is None else arm.pinned
        self._size = space.size()
        self._tpe = TpeSampling(space, self._pinned) if space.search.sampler == "tpe" else None
        self._grid: list[dict[str, Any]] | None = None

    def has(self, config: dict[str, Any]) -> bool:
        """Whether a configuration, section by section, is one of these."""
        return self.arm is None or self.arm.has(config)

    def note(self, trial: TrialRecord) -> None:
        """Take in one of its trials that was proposed."""
        self.trials.append(trial)
        self._seen.add(self.space.key(trial.values))

    def next(self, record: StudyRecord, startup_trials: int) -> Candidate | None:
        """Return what to try next; None where all was tried.

        Args:
            startup_trials: Trials that must have a result before TPE learns from them.
        """
        for values, source in self._in_order(record, max(1, startup_trials)):
            if self.space.key(values) not in self._seen and self._belongs(values):
                return values, source
        return None

    def trial_seed(self) -> int:
        """Return the seed of the next trial."""
        return derive_seed(self.seed, *self._names, "trial", len(self.trials) + 1)

    def _in_order(self, record: StudyRecord, startup_trials: int) -> Iterator[Candidate]:
        """Yield configurations, new or not, in the order in which they should be taken."""
        number = len(self.trials) + 1
        yield from ((dict(point), "point") for point in self.space.points)
        if self.space.search.sampler == "grid":
            yield from ((values, "grid") for values in self._listed("grid"))
            return
        if self._tpe is not None and self._n_learnt() >= startup_trials:
            self._tpe.tell(record, self.trials)
            for draw in range(TPE_DRAWS):
                seed = derive_seed(self.seed, *self._names, "proposal", number, draw)
                yield self._tpe.draw(seed), "tpe"
        for draw in range(RANDOM_DRAWS):
            rng = stream(self.seed, *self._names, "random", number, draw)
            yield self.space.sample(rng, self._pinned), "random"
        # So many draws without a new one: few can be left, if the space has an end at all.
        if self._size is not None:
            yield from ((values, "random") for values in self._listed("left", number))

    def _belongs(self, values: dict[str, Any]) -> bool:
        return self.arm is None or self.arm.has(self.space.configure(values).as_dict())

    def _n_learnt(self) -> int:
        """Count the trials from which TPE learns; failed ones tell it nothing."""
        return sum(trial.state in ("finished", "stopped") for trial in self.trials)

    def _listed(self, *purpose: str | int) -> list[dict[str, Any]]:
        """Return all configurations not tried, in an order that depends on the purpose."""
        if self._grid is None:
            self._grid = [v for v in self.space.enumerate() if self._belongs(v)]
        order = stream(self.seed, *self._names, *purpose).permutation(len(self._grid))
        shuffled: Sequence[dict[str, Any]] = [self._grid[i] for i in order]
        return [values for values in shuffled if self.space.key(values) not in self._seen]
