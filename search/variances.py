"""What of the random-effects model is found before its two main deviations are integrated over.

That is how far arms are apart, on all tasks alike and on each, and which trials stand apart: by EM
(Dempster, Laird & Rubin, 1977), a round of which takes what is expected of all effects and puts the
deviations at what would make that likeliest.
"""

from dataclasses import replace

import numpy as np

from search.mixed_model import Data, Model

SMALLEST = 0.002  # of a deviation
ROUNDS = 8


def with_variances(data: Data) -> Data:
    """Return the data with the deviations of arms and the scale of each trial's effect.

    The deviations of trials and of pairs that this needs are rough: from moments of the scores.
    """
    rest = data.values - data.values.sum(1, keepdims=True) / data.seen.sum(1, keepdims=True)
    spare = float((rest[data.seen] ** 2).mean() - data.noise[data.seen].mean())
    sd_interaction = float(np.sqrt(max(spare / (1 + (data.n_arms > 1)), SMALLEST**2)))
    size = float((data.values**2)[data.seen].mean())
    scales = np.array([scale for scale, _ in data.tails])
    for _ in range(ROUNDS):
        model = Model(data, max(float(np.sqrt(size)), SMALLEST), sd_interaction)
        effects = model.shrinkage * model.seen_effect[:, None]
        squares = effects**2 + model.shrinkage / model.total[:, None]  # expected, (N, S)
        size = float((model.likely * squares / scales).sum(1).mean())
        sd_arm, sd_profile = _of_arms(model)
        scale = 1 / (model.likely / scales).sum(1)
        data = replace(data, scale=scale, sd_arm=sd_arm, sd_profile=sd_profile)
    return data


def _of_arms(model: Model) -> tuple[float, float]:
    """Return the deviations of arms, from the expected squares of their profiles."""
    data, (n_arms, n_tasks) = model.data, model.profiles.shape
    if n_arms == 1:
        return data.sd_arm, data.sd_profile
    of_profiles = model.factor[: n_arms * n_tasks]
    spread = (of_profiles @ of_profiles.T).reshape(n_arms, n_tasks, n_arms, n_tasks)
    apart = np.eye(n_arms) - 1 / n_arms
    squares = model.profiles.T @ apart @ model.profiles + np.einsum("akbl,ab->kl", spread, apart)
    squares /= n_arms - 1  # (K, K), the expected covariance of tasks over arms
    own = (np.trace(squares) - squares.sum() / n_tasks) / max(1, n_tasks - 1)
    common = squares.mean() - own / n_tasks
    return _deviation(common), _deviation(own)


def _deviation(variance: float) -> float:
    return max(float(np.sqrt(max(variance, 0.0))), SMALLEST)
