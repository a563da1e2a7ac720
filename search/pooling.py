"""Partial pooling of trial x task scores: a random-effects model, estimated from the scores.

    score(i, j) = task(j) + group(i) + arm(i) + arm x task(i, j) + a(i) + b(i, j) + e(i, j)

of trial i on task j. Tasks, and groups of trials that are not alike beforehand, are fixed. Arms,
the ways to share, and what an arm has for one task alone are random, and so are the trials' effects
a within their arm and what a trial has for one task alone, b ~ N(0, sd_interaction^2)
(Laird & Ware, 1982); e is noise of a variance that is known from the rows (`noise.py`). A trial's
estimate is its best linear unbiased prediction (Searle, Casella & McCulloch, 1992): what was seen
is drawn towards what the trial is on all tasks and what its arm is on this one, these towards what
all trials and arms are, as far as it may be noise (Efron & Morris, 1975).

One trial may be far better than all others, and must not be drawn down to them for being alone. So
the effects a are a mixture of normal ones, N(0, scale sd_trial^2), most of scale 1 and some of a
larger (contaminated normal; Tukey, 1960); how likely each is follows from the trial's own scores.

The deviations of trials and of single tasks are not put at their likeliest values, which are often
0 where trials are few and would then make all of them equal for certain. They are integrated over:
a grid around the peak of their restricted likelihood (REML; Patterson & Thompson, 1971), with
half-Cauchy priors of ten points (Gelman, 2006). Those of arms, which matter less, are found by EM
(`variances.py`). Shapes: N trials, K tasks.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.deviations import posterior_of_deviations
from search.mixed_model import Data, Model
from search.variances import with_variances

Floats = NDArray[np.float64]
PRIOR_SCALE = 0.1  # of both deviations, as a share: ten points
TAILS = ((1.0, 0.9), (10.0, 0.08), (100.0, 0.02))  # scales of trials' variance: how many have it
CHUNK = 2_000_000  # numbers drawn at a time
SAMPLE = 150, 16  # trials and tasks that say how likely deviations are, where there are more
LARGEST = 400  # arms times tasks; of more the arms are left out
TRIALS_PER_ARM = 3  # at least, on average


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What the model sees.

    Args:
        values: (N, K); NaN where a score is missing. Every trial and every task has one at least.
        noise: Variance of each score around what the trial is worth, (N, K).
        groups: Of each trial its group, from 0 without gaps, (N,); `arms`: likewise its arm.
    """

    values: Floats
    noise: Floats
    groups: NDArray[np.int64]
    arms: NDArray[np.int64]


class Pooled:
    """The posterior of what each trial is worth on each task.

    Attributes:
        mean: (N, K), exact up to the grid.
        sd_trial, sd_interaction: Posterior means of the two deviations.
    """

    def __init__(self, scores: Scores) -> None:
        data = with_variances(data_of(scores))
        some = data.sample(*SAMPLE)
        likely = posterior_of_deviations(lambda a, b: log_density(Model(some, a, b)))
        self._models = [(weight, Model(data, a, b)) for weight, a, b in likely]
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


def data_of(scores: Scores) -> Data:
    """Return the scores as the model wants them; too many arms for the trials or tasks as one."""
    seen = ~np.isnan(scores.values)
    centre = np.nanmean(scores.values, axis=0)
    n_arms = int(scores.arms.max()) + 1
    one_arm = n_arms * TRIALS_PER_ARM > len(seen) or n_arms * len(centre) > LARGEST
    return Data(
        centre=centre,
        values=np.where(seen, scores.values - centre, 0.0),
        noise=np.where(seen, np.maximum(scores.noise, 1e-10), np.inf),
        seen=seen,
        member=np.eye(int(scores.groups.max()) + 1)[scores.groups][:, 1:],
        arms=np.zeros_like(scores.arms) if one_arm else scores.arms,
        scale=np.ones(len(seen)),
        tails=TAILS,
    )


def log_density(model: Model) -> float:
    """Return the log posterior of a model's two deviations, up to a constant."""
    both = (model.sd_trial, model.sd_interaction)
    return model.log_likelihood - float(sum(np.log1p((sd / PRIOR_SCALE) ** 2) for sd in both))
