"""Which trials are good, told from dev scores that are partly luck: estimates, winners, shortlist.

A trial is judged at one epoch, that which is best on the study's objective, also for a single task.
The best epoch for one task alone would be the luckiest of many on the few rows of that task; at the
epoch that the mean has chosen a task's score is nearly free of such luck, since the mean follows
any one task little. The scores there are shrunk by a random-effects model (`pooling.py`; the noise
of each: `noise.py`), so a task's winner is what is good on its rows and, as far as the study shows
that this tells something, on all others and with the rest of its arm.

Being the best of its epochs flatters a trial, by about as much as any that came as far. So this is
in no comparison between such, but in the level of all estimates; confirmation says what that is.

Trials that were stopped early take part with what they had reached, in groups by how far they came:
each is drawn towards trials that came as far, not towards those that were trained to the end. None
is made better than it was.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mtl_core.seeding import stream
from search.arms import SINGLE_TASK, STRUCTURE, arm_of, role_of
from search.estimates import Estimates, estimate_all
from search.noise import Rows, noise_of, rows_of_study
from search.objectives import Objective, all_objectives
from search.pooling import Pooled, Scores
from search.record import StudyRecord
from search.trial_record import Report, TrialRecord

Floats = NDArray[np.float64]
EQUAL_WEIGHTS = "equal_weights"
SMALLEST_GROUP = 3  # trials that came equally far, to be drawn towards each other
NOISES = 20_000  # drawn to see how lucky the luckiest of some trials is


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trial to confirm.

    Args:
        epoch: Its epoch that is best on the study's objective.
        roles: What it is the best of, the study's objective first: "average", "worst_task",
            "weighted", "task:<name>", "structure:<name>" ("arm:<name>" where other keys make the
            arms), "equal_weights", "single_task".
    """

    trial: str
    epoch: int
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Winner:
    """The best trial under one objective, beside the one that looks best.

    Args:
        trial: Best by the shrunken estimate.
        raw: Best by the score as it was seen.
        optimism: What the luckiest of that many trials would gain by the noise of its rows if all
            were equally good: the expected largest of so many errors (Blom, 1958). The score of
            `raw` is too high by this at most; by how much it is, its shrunken estimate says.
    """

    objective: str
    trial: str
    raw: str
    optimism: float


@dataclass(frozen=True, eq=False)
class Selection:
    """The trials of a study with what they are worth.

    Args:
        objective: What the study maximises: "average", "worst_task", "task:<name>" or "weighted".
        epochs: The epoch of each scored trial at which it is judged, in the order of the trials.
        estimates: By objective, those of all scored trials.
        winners: By objective; one that no trial has a score for is missing.
        sd_trial, sd_interaction: How far trials are apart on all tasks alike, and, beyond that, on
            single tasks, as shares.
        groups_of_roles: By role, which of the trials may have it, (N,).
    """

    objective: str
    epochs: Mapping[str, int]
    estimates: Mapping[str, Estimates]
    winners: Mapping[str, Winner]
    sd_trial: float
    sd_interaction: float
    groups_of_roles: Mapping[str, NDArray[np.bool_]]

    @classmethod
    def empty(cls, objective: str) -> "Selection":
        """Return the selection of a study in which nothing was scored yet."""
        return cls(objective, {}, {}, {}, 0.0, 0.0, {})

    @property
    def trials(self) -> tuple[str, ...]:
        return tuple(self.epochs)

    @property
    def probability_best(self) -> Mapping[str, Mapping[str, float]]:
        """Objective -> trial -> probability that no other is better."""
        return {
            name: dict(zip(of.trials, of.probability_best.tolist(), strict=True))
            for name, of in self.estimates.items()
        }

    def shortlist(self) -> list[Candidate]:
        """Return the trials to confirm, each once with all it is the best of."""
        roles: dict[str, list[str]] = {}
        for role, trial in self._best_by_role():
            roles.setdefault(trial, []).append(role)
        return [Candidate(t, self.epochs[t], tuple(names)) for t, names in roles.items()]

    def _best_by_role(self) -> list[tuple[str, str]]:
        found = [(name, winner.trial) for name, winner in self.winners.items()]
        of = self.estimates.get(self.objective)
        if of is None:
            return found
        for role, among in self.groups_of_roles.items():
            best = of.best(among)
            if best is not None:
                found.append((role, self.trials[best]))
        return found


def select(
    record: StudyRecord,
    *,
    dev_rows: Mapping[str, int] | None = None,
    arms: Sequence[str] | None = None,
    seed: int | None = None,
) -> Selection:
    """Return the selection of a study, which may still be running.

    Args:
        dev_rows: Rows behind the dev scores by task, for a journal that says nothing of them.
        arms: Keys that make the arms; None: as the journal says.
        seed: Of the simulation; None: the study's.
    """
    found = {t.id: at for t in record.trials.values() if (at := _judged_at(t))}
    trials, tasks = [record.trials[name] for name in found], record.tasks
    scores = np.array([[at.scores.get(task, np.nan) for task in tasks] for at in found.values()])
    scores = scores.reshape(len(trials), len(tasks))
    known = ~np.isnan(scores).all(axis=0)  # of a task without any score nothing can be said
    if not known.any():
        return Selection.empty(record.objective.name)
    asked = all_objectives(record.objective, tasks)
    objectives = {name: one.only(known) for name, one in asked.items() if one.needs_only(known)}
    scored = [task for task, is_known in zip(tasks, known, strict=True) if is_known]
    rows = rows_of_study(record, [at.rows for at in found.values()], scores)
    rows = {t: Rows(count=n) for t, n in (dev_rows or {}).items() if n} | rows
    noise = noise_of(scores[:, known], [rows.get(task) for task in scored])
    keys = tuple(arms or record.header.get("arms") or (STRUCTURE,))
    of_trials = [arm_of(trial.config, keys) for trial in trials]
    pooled = Pooled(
        Scores(
            values=scores[:, known],
            noise=noise.own,
            groups=groups_of(trials),
            arms=np.unique(of_trials, return_inverse=True)[1],
        )
    )
    rng = stream(record.header.get("seed", 0) if seed is None else seed, "selection")
    estimates = estimate_all(tuple(found), scores[:, known], pooled, noise.shared, objectives, rng)
    errors = np.sqrt(np.median(noise.own, axis=0))
    winners = [_winner(objectives[name], of, pooled, errors) for name, of in estimates.items()]
    return Selection(
        objective=record.objective.name,
        epochs={name: at.epoch for name, at in found.items()},
        estimates=estimates,
        winners={winner.objective: winner for winner in winners if winner},
        sd_trial=pooled.sd_trial,
        sd_interaction=pooled.sd_interaction,
        groups_of_roles=_groups_of_roles(trials, of_trials, keys),
    )


def groups_of(trials: Sequence[TrialRecord]) -> NDArray[np.int64]:
    """Return the group of each trial: as far as it came, too small ones joined to the next, (N,).

    Those that were trained to their end come first, then those that were stopped, the later first.
    """
    reached = [np.inf if trial.state == "finished" else trial.reports[-1].epoch for trial in trials]
    groups = np.zeros(len(trials), np.int64)
    current, size = 0, 0
    for depth in sorted(set(reached), reverse=True):
        members = np.array([one == depth for one in reached])
        groups[members] = current
        size += int(members.sum())
        if size >= SMALLEST_GROUP:
            current, size = current + 1, 0
    if size and current:  # too few are left: with those before
        groups[groups == current] = current - 1
    return groups


def _judged_at(trial: TrialRecord) -> Report | None:
    """Return the epoch at which a trial is judged; without a value of the objective, the last."""
    scored = [r for r in trial.reports if any(not np.isnan(s) for s in r.scores.values())]
    best = trial.leader
    at = next((report for report in scored if best and report.epoch == best.epoch), None)
    return at or (scored[-1] if scored else None)


def _winner(objective: Objective, of: Estimates, pooled: Pooled, errors: Floats) -> Winner | None:
    """Return who wins; `errors` are standard errors of a score from its own rows, (K,)."""
    best, raw = of.best(), of.raw_best()
    if best is None or raw is None:
        return None
    optimism = _luck(objective, pooled.mean[raw], errors, int(of.scored.sum()))
    return Winner(objective.name, of.trials[best], of.trials[raw], optimism)


def _luck(objective: Objective, worth: Floats, errors: Floats, n_trials: int) -> float:
    """Return what the luckiest of trials that are all worth the same, (K,), gains by its errors."""
    if n_trials < 2:
        return 0.0
    place = (n_trials - 0.375) / (n_trials + 0.25)
    if objective.weights is not None:
        variance = float((np.array(objective.weights) ** 2 * errors**2).sum())
        return math.sqrt(variance) * NormalDist().inv_cdf(place)
    drawn = worth + errors * stream(0, "luck").standard_normal((NOISES, len(errors)))
    gains = objective.of(drawn) - objective.of(worth)
    return max(0.0, float(np.quantile(gains, place)))


def _groups_of_roles(
    trials: Sequence[TrialRecord], of_trials: Sequence[str], keys: Sequence[str]
) -> dict[str, NDArray[np.bool_]]:
    """Return by role which trials may have it."""
    members = {
        role_of(arm, keys): np.array([one == arm for one in of_trials])
        for arm in sorted(set(of_trials))
    }
    equal = [trial.config["weighting"]["method"] == "equal" for trial in trials]
    single = [trial.structure == SINGLE_TASK for trial in trials]
    return members | {EQUAL_WEIGHTS: np.array(equal), SINGLE_TASK: np.array(single)}
