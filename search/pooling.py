"""Partial pooling of trial x task scores: a random-effects model, estimated from the scores.

    score(i, j) = task(j) + group(i) + a(i) + b(i, j) + e(i, j)

of trial i on task j. Tasks, and groups of trials that are not alike beforehand, are fixed; the
trials' effects a and what a trial has for one task alone, b ~ N(0, sd_interaction^2), are random
(Laird & Ware, 1982); e is noise of a variance that is known from the rows (`noise.py`). A trial's
estimate is its best linear unbiased prediction (Searle, Casella & McCulloch, 1992): what was seen
is drawn towards what the trial is on all tasks, and this towards what all trials are, as far as it
may be noise (Efron & Morris, 1975).

One trial may be far better than all others, and must not be drawn down to them for being alone. So
the effects a are a mixture of normal ones, N(0, scale sd_trial^2), most of scale 1 and some of a
larger (contaminated normal; Tukey, 1960); how likely each is follows from the trial's own scores.

The two deviations are not put at their likeliest values, which are often 0 where trials are few and
would then make all of them equal for certain. They are integrated over: a grid around the peak of
their restricted likelihood (REML; Patterson & Thompson, 1971), with half-Cauchy priors of ten
points (Gelman, 2006). Shapes: N trials, K tasks, G groups, P = K + G - 1 fixed effects.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from search.deviations import posterior_of_deviations

Floats = NDArray[np.float64]
PRIOR_SCALE = 0.1  # of both deviations, as a share: ten points
CHUNK = 2_000_000  # numbers drawn at a time
TAILS = (
    (1.0, 0.9),
    (10.0, 0.08),
    (100.0, 0.02),
)  # scales of the trials' variance: how many have it
SMALLEST = 0.002  # the smallest deviation with which trials that stand apart are looked for
ROUNDS = 10  # of looking
SAMPLE = 150  # trials that say how likely deviations are, where there are more


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What the model sees.

    Args:
        values: (N, K); NaN where a score is missing. Every task has one at least.
        noise: Variance of each score around what the trial is worth, (N, K).
        groups: Of each trial its group, from 0 without gaps, (N,).
    """

    values: Floats
    noise: Floats
    groups: NDArray[np.int64]


class Pooled:
    """The posterior of what each trial is worth on each task.

    Attributes:
        mean: (N, K), exact up to the grid.
        sd_trial, sd_interaction: Posterior means of the two deviations.
    """

    def __init__(self, scores: Scores) -> None:
        data = _with_scales(_Data.of(scores))
        some = data.sample(SAMPLE)
        likely = posterior_of_deviations(lambda a, b: _Model(some, a, b).log_density)
        self._models = [(weight, _Model(data, a, b)) for weight, a, b in likely]
        self.mean: Floats = sum(weight * model.mean for weight, model in self._models)  # type: ignore[assignment]
        self.sd_trial = sum(weight * model.sd_trial for weight, model in self._models)
        self.sd_interaction = sum(w * model.sd_interaction for w, model in self._models)

    def draws(self, rng: np.random.Generator, count: int) -> Iterator[NDArray[np.float32]]:
        """Yield `count` draws of what the trials are worth, in chunks (draws, N, K)."""
        size = max(1, CHUNK // self.mean.size)
        counts = rng.multinomial(count, [weight for weight, _ in self._models])
        for (_, model), n in zip(self._models, counts, strict=True):
            for start in range(0, n, size):
                yield model.draw(rng, min(size, n - start))


@dataclass(frozen=True)
class _Data:
    """Scores less their task's mean; a missing one is 0 with endless noise."""

    centre: Floats  # (K,)
    values: Floats  # (N, K)
    noise: Floats  # (N, K)
    seen: NDArray[np.bool_]  # (N, K)
    member: Floats  # (N, G - 1): 1 where the trial is of that group; the first has no column
    scale: Floats  # of the variance of the trials' effects where one number must do, (N,)
    tails: tuple[tuple[float, float], ...] = TAILS

    @classmethod
    def of(cls, scores: Scores) -> "_Data":
        seen = ~np.isnan(scores.values)
        centre = np.nanmean(scores.values, axis=0)
        return cls(
            centre=centre,
            values=np.where(seen, scores.values - centre, 0.0),
            noise=np.where(seen, np.maximum(scores.noise, 1e-10), np.inf),
            seen=seen,
            member=np.eye(int(scores.groups.max()) + 1)[scores.groups][:, 1:],
            scale=np.ones(len(seen)),
        )

    def sample(self, most: int) -> "_Data":
        """Return the data of `most` trials, evenly spread; tasks and groups nobody has left out."""
        step = -(-len(self.values) // most)
        if step == 1:
            return self
        rows = slice(None, None, step)
        tasks, groups = self.seen[rows].any(0), self.member[rows].any(0)
        return _Data(
            centre=self.centre[tasks],
            values=self.values[rows, tasks],
            noise=self.noise[rows, tasks],
            seen=self.seen[rows, tasks],
            member=self.member[rows, groups],
            scale=self.scale[rows],
            tails=self.tails,
        )


class _Model:
    """The model at one pair of deviations.

    Attributes:
        log_density: REML log likelihood plus log prior, up to a constant.
    """

    def __init__(self, data: _Data, sd_trial: float, sd_interaction: float) -> None:
        self.data, self.sd_trial, self.sd_interaction = data, sd_trial, sd_interaction
        of_trial, of_pair = sd_trial**2 * data.scale, sd_interaction**2
        self.precision = 1 / (of_pair + data.noise)  # of a score, the trial's effect known (N, K)
        self.kept = of_pair * self.precision  # share of what is left that is no noise (N, K)
        self.total = self.precision.sum(1)  # (N,)
        left = 1 / (1 + of_trial * self.total)
        self.variance = of_trial * left  # of a trial's effect, the fixed ones known (N,)
        weighted = self.precision * data.values
        solved = weighted - (self.variance * weighted.sum(1))[:, None] * self.precision  # V^-1 y
        score = np.concatenate([solved.sum(0), data.member.T @ solved.sum(1)])
        root = np.linalg.cholesky(self._information(left))
        self.factor = np.linalg.inv(root).T  # times its transpose: covariance of the fixed effects
        self.fixed = self.factor @ (self.factor.T @ score)  # (P,)
        determinants = 2 * np.log(np.diag(root)).sum() - np.log(left).sum()
        determinants -= np.log(self.precision[data.seen]).sum()
        misfit = (data.values * solved).sum() - score @ self.fixed
        prior = sum(np.log1p((sd / PRIOR_SCALE) ** 2) for sd in (sd_trial, sd_interaction))
        self.log_density = float(-(determinants + misfit) / 2 - prior)

    @cached_property
    def mean(self) -> Floats:
        """The predictions, (N, K): best linear unbiased ones, but for trials that stand apart."""
        expected = self._fixed_part + self.of_trials[:, None]
        return self.data.centre + expected + self.kept * (self.data.values - expected)

    @cached_property
    def of_trials(self) -> Floats:
        """The predicted effects of the trials, (N,)."""
        return (self.likely * self.shrinkage).sum(1) * self.seen_effect

    @cached_property
    def seen_effect(self) -> Floats:
        """What the effects of the trials look like, (N,); 1 / `total` is the variance of that."""
        return (self.precision * (self.data.values - self._fixed_part)).sum(1) / self.total

    @cached_property
    def shrinkage(self) -> Floats:
        """Share of what is seen of an effect that is real, at each of S scales, (N, S)."""
        variances = self.sd_trial**2 * np.array([scale for scale, _ in self.data.tails])
        return variances / (variances + 1 / self.total[:, None])

    @cached_property
    def likely(self) -> Floats:
        """How likely each scale is, the effect being what it is, (N, S)."""
        left = 1 - self.shrinkage  # the variance seen is 1 / (total left)
        exponent = -(self.seen_effect**2 * self.total)[:, None] * left / 2
        density = np.sqrt(left) * np.exp(exponent - exponent.max(1, keepdims=True))
        density *= np.array([share for _, share in self.data.tails])
        return density / density.sum(1, keepdims=True)

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.float32]:
        """Return draws around the mean, (count, N, K): fixed effects, trials, then single tasks."""
        (n_trials, n_tasks), lost = self.data.values.shape, 1 - self.kept
        fixed = rng.standard_normal((count, len(self.fixed))) @ self.factor.T
        by_task, by_group = fixed[:, :n_tasks], fixed[:, n_tasks:] @ self.data.member.T
        off = by_task @ self.precision.T / self.total + by_group  # (count, N)
        drawn_scales = rng.random((count, n_trials, 1)) > self.likely.cumsum(1)[:, :-1]
        shrinkage = np.take_along_axis(self.shrinkage, drawn_scales.sum(2).T, 1).T  # (count, N)
        of_trials = shrinkage * (self.seen_effect - off)
        of_trials += np.sqrt(shrinkage / self.total) * rng.standard_normal((count, n_trials))
        by_trial = (by_group + of_trials).astype(np.float32)
        drawn = rng.standard_normal((count, n_trials, n_tasks), dtype=np.float32)
        drawn *= (self.sd_interaction * np.sqrt(lost)).astype(np.float32)
        both = by_trial[:, :, None] + by_task.astype(np.float32)[:, None, :]
        both *= lost.astype(np.float32)
        drawn += both
        drawn += (self.data.centre + lost * self._fixed_part + self.kept * self.data.values).astype(
            np.float32
        )
        return drawn

    @cached_property
    def _fixed_part(self) -> Floats:
        n_tasks = len(self.data.centre)
        of_groups = self.data.member @ self.fixed[n_tasks:]
        return np.asarray(self.fixed[:n_tasks] + of_groups[:, None])

    def _information(self, left: Floats) -> Floats:
        """Return X' V^-1 X of the fixed effects, (P, P)."""
        member, precision = self.data.member, self.precision
        tasks = np.diag(precision.sum(0)) - (self.variance[:, None] * precision).T @ precision
        between = (left[:, None] * precision).T @ member
        groups = np.diag((left * self.total) @ member)
        return np.block([[tasks, between], [between.T, groups]])


def _with_scales(data: _Data) -> _Data:
    """Return the data with the scale of each trial's effect, by EM.

    The deviations of trials and pairs it needs are rough: both come from moments of the scores.
    """
    rest = data.values - data.values.sum(1, keepdims=True) / data.seen.sum(1, keepdims=True)
    noise = data.noise[data.seen].mean()
    sd_interaction = float(np.sqrt(max((rest[data.seen] ** 2).mean() - noise, SMALLEST**2)))
    size = float((data.values**2)[data.seen].mean())
    scales = np.array([scale for scale, _ in data.tails])
    for _ in range(ROUNDS):
        model = _Model(data, max(np.sqrt(size), SMALLEST), sd_interaction)
        effects = model.shrinkage * model.seen_effect[:, None]
        squares = effects**2 + model.shrinkage / model.total[:, None]  # expected, (N, S)
        size = float((model.likely * squares / scales).sum(1).mean())
        data = replace(data, scale=1 / (model.likely / scales).sum(1))
    return data
