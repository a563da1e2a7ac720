"""Optuna as a pure function: what it has been told, and a seed, give the next values.

`TpeSampling` keeps an Optuna study in memory in line with the record, and tells it the truth: a
finished trial is COMPLETE with its best value of the study's objective on dev over the epochs (what
the study keeps of it, too), one stopped at a rung PRUNED with its value at every epoch, one that
failed or never had a score FAIL, all others RUNNING. Running ones count as bad for the time being,
so that parallel workers spread out (constant liar).

Optuna's own `ask` is not used: it would carry its random state from draw to draw, and leave a trial
behind for each configuration that was drawn and not used, as well as values of conditional keys
that the trial does not have. Here each draw has a new sampler with its own seed, and draws through
one trial that waits for ever, which no sampler looks at. So a study rebuilt from its journal
proposes what the undisturbed one would have.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.record import StudyRecord
from search.space import Space
from search.trial_record import TrialRecord

_NAME = "search"


def make_sampler(seed: int) -> TPESampler:
    """Return Optuna's sampler as it is used here; conformant by Optuna's own suites."""
    return TPESampler(
        multivariate=True,
        group=True,
        constant_liar=True,
        n_startup_trials=1,  # the proposer decides when TPE takes over
        seed=seed & 0xFFFFFFFF,
    )


class TpeSampling:
    """The tree-structured Parzen estimator (Bergstra et al., 2011), multivariate, by groups.

    Args:
        space: The keys and their conditions. With `group=True` keys that are active together are
            modelled together; without it conditional keys would be drawn independently.
        pinned: Values of keys that are not drawn, those of an arm; Optuna does not learn of them.
    """

    def __init__(self, space: Space, pinned: Mapping[str, Any] | None = None) -> None:
        self._space, self._pinned = space, pinned or {}
        self._storage = InMemoryStorage()
        with _quiet():
            self._study = self._storage.create_new_study([StudyDirection.MAXIMIZE], _NAME)
        waiting = create_trial(state=TrialState.WAITING)
        self._scratch = self._storage.create_new_trial(self._study, waiting)
        self._told: dict[str, int] = {}  # our trial -> Optuna's, in the order of their numbers
        self._open: set[str] = set()

    def tell(self, record: StudyRecord, trials: Sequence[TrialRecord] | None = None) -> None:
        """Bring the study in line with the record, or with some of its trials, in their order."""
        for trial in list(record.trials.values() if trials is None else trials)[len(self._told) :]:
            self._told[trial.id] = self._add(trial)
            self._open.add(trial.id)
        for name in sorted(self._open):
            if record.trials[name].ended:
                self._end(record.trials[name])
                self._open.remove(name)

    def draw(self, seed: int) -> dict[str, Any]:
        """Return the values that TPE suggests; the same seed gives the same ones."""
        with warnings.catch_warnings():
            # `group` is marked as experimental; what it does here is held by our tests
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = make_sampler(seed)
        # A new `Study` over the same storage: the old one would hold on to a list of trials that
        # Optuna refreshes in `ask` alone.
        study = optuna.load_study(study_name=_NAME, storage=self._storage, sampler=sampler)
        draw = _Draw(study, self._storage.get_trial(self._scratch), sampler)
        return self._space.suggest(draw, self._pinned)

    def trials(self) -> list[FrozenTrial]:
        """Return what Optuna has been told, in the order of the trials' numbers."""
        return self._storage.get_all_trials(self._study)[1:]

    def _add(self, trial: TrialRecord) -> int:
        running = create_trial(
            state=TrialState.RUNNING,
            params=self._space.to_optuna(trial.values, self._pinned),
            distributions=self._space.distributions_for(trial.values, self._pinned),
        )
        return self._storage.create_new_trial(self._study, running)

    def _end(self, trial: TrialRecord) -> None:
        told = self._told[trial.id]
        for report in trial.reports:
            self._storage.set_trial_intermediate_value(told, report.epoch, report.value)
        best = trial.leader
        state, values = TrialState.FAIL, None
        if best is not None and trial.state == "finished":
            state, values = TrialState.COMPLETE, [best.score]
        elif best is not None and trial.state == "stopped":
            state = TrialState.PRUNED
        self._storage.set_trial_state_values(told, state, values)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from announcing a study; what the user sees is said by `progress.py`."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


class _Draw:
    """Answers a space's questions with what a sampler draws, as `optuna.Trial` does."""

    def __init__(self, study: Study, trial: FrozenTrial, sampler: BaseSampler) -> None:
        self._study, self._trial, self._sampler = study, trial, sampler
        self._known = sampler.infer_relative_search_space(study, trial)
        self._joint = sampler.sample_relative(study, trial, self._known)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._draw(name, CategoricalDistribution(choices))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        return int(self._draw(name, IntDistribution(low, high, step=step, log=log)))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(self._draw(name, FloatDistribution(low, high, step=step, log=log)))

    def _draw(self, name: str, distribution: BaseDistribution) -> Any:
        if distribution.single():
            return distribution.to_external_repr(getattr(distribution, "low", 0))
        if name in self._joint and self._known[name] == distribution:
            return self._joint[name]
        return self._sampler.sample_independent(self._study, self._trial, name, distribution)
