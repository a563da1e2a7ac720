"""The random-effects model of `pooling.py` at given deviations: likelihood, predictions, draws.

Trials of one arm have a profile in common, what each task comes to in this arm; profiles are normal
around the tasks' means, which are free. So profiles and groups are solved for at once, as fixed
effects of which the former have a prior; trials and what they have for one task alone are
integrated out, with V the covariance of one trial's scores, diagonal plus a constant.
Shapes: N trials, K tasks, A arms, G groups, P = A K + G - 1 effects that are solved for.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Tails = tuple[tuple[float, float], ...]  # scales of the trials' variance, and how many have each


@dataclass(frozen=True, kw_only=True)
class Data:
    """Scores less their task's mean; a missing one is 0 with endless noise.

    Args:
        member: 1 where a trial is of a group; the first group has no column, (N, G - 1).
        arms: Of each trial its arm, from 0 without gaps, (N,).
        scale: Of the variance of each trial's effect where one number must do, (N,).
        sd_arm, sd_profile: Deviations of arms, on all tasks alike and beyond that on each.
    """

    centre: Floats  # (K,)
    values: Floats  # (N, K)
    noise: Floats  # (N, K)
    seen: NDArray[np.bool_]  # (N, K)
    member: Floats
    arms: NDArray[np.int64]
    scale: Floats
    tails: Tails = ((1.0, 1.0),)
    sd_arm: float = 0.05
    sd_profile: float = 0.02

    @property
    def n_arms(self) -> int:
        return int(self.arms.max()) + 1

    def sample(self, most_trials: int, most_tasks: int) -> "Data":
        """Return the data of some trials and tasks, evenly spread, that have scores."""
        rows = _spread(len(self.values), most_trials)
        tasks = _spread(len(self.centre), most_tasks)
        rows = rows[self.seen[np.ix_(rows, tasks)].any(1)]
        tasks = tasks[self.seen[np.ix_(rows, tasks)].any(0)]
        both, member = np.ix_(rows, tasks), self.member[rows]
        return replace(
            self,
            centre=self.centre[tasks],
            values=self.values[both],
            noise=self.noise[both],
            seen=self.seen[both],
            member=member[:, member.any(0) & ~member.all(0)],
            arms=np.unique(self.arms[rows], return_inverse=True)[1],
            scale=self.scale[rows],
        )


class Model:
    """The model at one pair of deviations.

    Attributes:
        log_likelihood: Restricted, up to a constant.
        kept: Share of what a score has beyond its trial's effect that is no noise, (N, K).
        total: 1 / variance of what is seen of a trial's effect, (N,).
    """

    def __init__(self, data: Data, sd_trial: float, sd_interaction: float) -> None:
        self.data, self.sd_trial, self.sd_interaction = data, sd_trial, sd_interaction
        self.precision = 1 / (sd_interaction**2 + data.noise)  # the trial's effect known, (N, K)
        self.kept = sd_interaction**2 * self.precision
        self.total = self.precision.sum(1)
        of_trials = sd_trial**2 * data.scale
        left = 1 / (1 + of_trials * self.total)
        weighted = self.precision * data.values
        common = of_trials * left * weighted.sum(1)
        solved = weighted - common[:, None] * self.precision  # V^-1 y
        of_arms = np.eye(data.n_arms)[data.arms].T @ solved
        score = np.concatenate([of_arms.ravel(), data.member.T @ solved.sum(1)])
        information = self._information(of_trials * left, left)
        self._root = np.linalg.cholesky(information)
        self.effects = np.linalg.solve(information, score)  # (P,)
        determinants = 2 * np.log(np.diag(self._root)).sum() - np.log(left).sum()
        determinants -= np.log(self.precision[data.seen]).sum()
        misfit = (data.values * solved).sum() - score @ self.effects
        self.log_likelihood = float(-(determinants + misfit) / 2)

    @cached_property
    def mean(self) -> Floats:
        """The predictions, (N, K): best linear unbiased ones, but for trials that stand apart."""
        expected = self._expected + self.of_trials[:, None]
        return self.data.centre + expected + self.kept * (self.data.values - expected)

    @cached_property
    def factor(self) -> Floats:
        """Times its transpose it is the covariance of the effects, (P, P)."""
        return np.asarray(np.linalg.inv(self._root).T)

    @cached_property
    def of_trials(self) -> Floats:
        """The predicted effects of the trials, (N,)."""
        return (self.likely * self.shrinkage).sum(1) * self.seen_effect

    @cached_property
    def seen_effect(self) -> Floats:
        """What the effects of the trials look like, (N,)."""
        return (self.precision * (self.data.values - self._expected)).sum(1) / self.total

    @cached_property
    def shrinkage(self) -> Floats:
        """Share of what is seen of an effect that is real, at each of S scales, (N, S)."""
        variances = self.sd_trial**2 * np.array([scale for scale, _ in self.data.tails])
        return variances / (variances + 1 / self.total[:, None])

    @cached_property
    def likely(self) -> Floats:
        """How likely each scale is, the effect being what it is, (N, S)."""
        left = 1 - self.shrinkage  # the variance of what is seen is 1 / (total left)
        exponent = -(self.seen_effect**2 * self.total)[:, None] * left / 2
        density = np.sqrt(left) * np.exp(exponent - exponent.max(1, keepdims=True))
        density *= np.array([share for _, share in self.data.tails])
        return density / density.sum(1, keepdims=True)

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.float32]:
        """Return draws around the mean, (count, N, K): arms, trials, then single tasks."""
        (n_trials, n_tasks), data, lost = self.data.values.shape, self.data, 1 - self.kept
        effects = rng.standard_normal((count, len(self.effects))) @ self.factor.T
        profiles = effects[:, : data.n_arms * n_tasks].reshape(count, data.n_arms, n_tasks)
        of_groups = effects[:, data.n_arms * n_tasks :] @ data.member.T  # (count, N)
        off = of_groups.copy()
        for arm in range(data.n_arms):
            mine = data.arms == arm
            off[:, mine] += profiles[:, arm] @ self.precision[mine].T / self.total[mine]
        scales = (rng.random((count, n_trials, 1)) > self.likely.cumsum(1)[:, :-1]).sum(2)
        shrinkage = np.take_along_axis(self.shrinkage, scales.T, 1).T  # (count, N)
        of_trials = shrinkage * (self.seen_effect - off)
        of_trials += np.sqrt(shrinkage / self.total) * rng.standard_normal((count, n_trials))
        drawn = rng.standard_normal((count, n_trials, n_tasks), dtype=np.float32)
        drawn *= (self.sd_interaction * np.sqrt(lost)).astype(np.float32)
        expected = profiles.astype(np.float32)[:, data.arms]
        expected += (of_groups + of_trials).astype(np.float32)[:, :, None]
        expected *= lost.astype(np.float32)
        drawn += expected
        drawn += (data.centre + lost * self._expected + self.kept * data.values).astype(np.float32)
        return drawn

    @cached_property
    def profiles(self) -> Floats:
        """What each task comes to in each arm, less the task's mean, (A, K)."""
        n_tasks = len(self.data.centre)
        return self.effects[: self.data.n_arms * n_tasks].reshape(self.data.n_arms, n_tasks)

    @cached_property
    def _expected(self) -> Floats:
        """What is expected of trials by arm and group, (N, K)."""
        of_groups = self.data.member @ self.effects[self.profiles.size :]
        return np.asarray(self.profiles[self.data.arms] + of_groups[:, None])

    def _information(self, variance: Floats, left: Floats) -> Floats:
        """Return X' V^-1 X plus the precision of the profiles' prior, (P, P)."""
        data, n_tasks = self.data, len(self.data.centre)
        found = np.zeros((data.n_arms * n_tasks + data.member.shape[1],) * 2)
        last = slice(data.n_arms * n_tasks, None)
        found[last, last] = np.diag((left * self.total) @ data.member)
        for arm in range(data.n_arms):
            mine, place = data.arms == arm, slice(arm * n_tasks, (arm + 1) * n_tasks)
            precision = self.precision[mine]
            found[place, place] = np.diag(precision.sum(0))
            found[place, place] -= (variance[mine, None] * precision).T @ precision
            found[place, last] = (left[mine, None] * precision).T @ data.member[mine]
            found[last, place] = found[place, last].T
        if data.n_arms > 1:
            found[: last.start, : last.start] += self._prior
        return found

    @cached_property
    def _prior(self) -> Floats:
        """The precision of profiles around means of the tasks that may be anything, (A K, A K)."""
        n_arms, n_tasks = self.data.n_arms, len(self.data.centre)
        of_arm, of_pair = self.data.sd_arm**2, self.data.sd_profile**2
        of_tasks = np.eye(n_tasks) - of_arm / (of_pair + n_tasks * of_arm)
        return np.asarray(np.kron(np.eye(n_arms) - 1 / n_arms, of_tasks / of_pair), np.float64)


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """Return at most `most` of the numbers below `count`, evenly spread."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)
