"""How much of a dev score is luck: the variance that its rows give it.

A share of right rows varies as a binomial does, p (1 - p) / rows; p is what tasks and trials have
in common (a sum of both), since a score of its own would say least noise of the luckiest. Of
other metrics it is had from how far each row moves the score, where a study keeps that, and else
taken as (1 - r^2)^2 / rows of a correlation (Fisher, 1915) and as that of a share for the rest.

Trials are scored on the same rows, of which some are hard for all of them. This part of the noise
is the same for all trials, so it is in no difference between two: it is `shared`, and only the rest
is a trial's `own`. How much is its own is the mean square of trials x rows that is left without
trials and without rows, as in a two-way analysis of variance (for right and wrong: Cochran, 1950),
among the better half of the trials, between which one has to choose. Without rows all of it is
taken for a trial's own, which draws single tasks together more than need be.

What another seed would change is in neither: one training cannot say it, confirmation does.
Shapes: N trials, K tasks, R rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.dev_rows import are_right_or_wrong, unpack_dev
from search.record import StudyRecord

Floats = NDArray[np.float64]
CORRELATIONS = ("pearson", "spearman", "matthews")
ACCURACY = "accuracy"
MOST_TRIALS = 60  # whose rows are looked at


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Variances of scores that their rows give them.

    Args:
        own: Of each score, beside what all trials share, (N, K).
        shared: Of each task, the same for all trials, (K,).
    """

    own: Floats
    shared: Floats


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What is known of the dev rows of a task.

    Args:
        count: Rows.
        metric: "accuracy" where a row is right or wrong, or another.
        variance: Of what a row adds to the score, as a mean over trials; None: not known.
        own: Share of it that trials do not have in common.
    """

    count: int
    metric: str = ACCURACY
    variance: float | None = None
    own: float = 1.0


def noise_of(scores: Floats, rows: Sequence[Rows | None]) -> Noise:
    """Return the noise of scores, (N, K); NaN where one is missing.

    Of a task without known rows all is taken for noise that neither task nor trials explain.
    """
    of_tasks = np.nanmean(scores, axis=0)
    expected = of_tasks + np.nanmean(scores - of_tasks, axis=1)[:, None]
    own, shared = np.empty_like(scores), np.zeros(len(rows))
    for at, of_task in enumerate(rows):
        if of_task is None:
            own[:, at] = np.nanvar((scores - expected)[:, at])
            continue
        total = _variance(expected[:, at], of_task)
        own[:, at] = of_task.own * total
        shared[at] = (1 - of_task.own) * total.mean()
    return Noise(own=own, shared=shared)


def rows_of_study(
    record: StudyRecord, kept: Sequence[str | None], scores: Floats
) -> dict[str, Rows]:
    """Return what a study tells of its dev rows, by task.

    Args:
        kept: Of each trial the rows of its scores, where they were kept.
        scores: Of these trials, (N, K).
    """
    texts = [text for at in _better_half(scores) if (text := kept[at])]
    if not texts:
        metrics, counts = _metrics(record), _told(record, "dev_rows")
        return {t: Rows(count=n, metric=metrics.get(t, ACCURACY)) for t, n in counts.items() if n}
    looked_at = [unpack_dev(text) for text in texts]
    found = {}
    for at, (task, right) in enumerate(
        zip(record.tasks, are_right_or_wrong(texts[0]), strict=True)
    ):
        added = np.stack([of_trial[at] for of_trial in looked_at])  # (trials, R)
        if added.shape[1]:
            found[task] = _rows(added, ACCURACY if right else "")
    return found


def _rows(added: Floats, metric: str) -> Rows:
    n_trials, count = added.shape
    variance = float(added.var(axis=1).mean())
    if n_trials < 2 or count < 2 or not variance:
        return Rows(count=count, metric=metric, variance=variance)
    left = added - added.mean(axis=1, keepdims=True)
    left -= left.mean(axis=0)
    mean_square = (left**2).sum() / ((n_trials - 1) * (count - 1))
    own = mean_square / (variance * count / (count - 1))
    return Rows(count=count, metric=metric, variance=variance, own=float(np.clip(own, 0.01, 1.0)))


def _variance(expected: Floats, rows: Rows) -> Floats:
    """Return the whole variance of scores that are expected there, (N,)."""
    if rows.metric != ACCURACY and rows.variance is not None:
        return np.full(len(expected), rows.variance / rows.count)
    if rows.metric in CORRELATIONS:
        return np.asarray((1 - np.clip(expected, -0.99, 0.99) ** 2) ** 2 / rows.count)
    share = np.clip(expected, 1 / (rows.count + 2), 1 - 1 / (rows.count + 2))
    return np.asarray(share * (1 - share) / rows.count)


def _better_half(scores: Floats) -> NDArray[np.int64]:
    """Return the places of the better half of the trials, or an even sample of it."""
    order = np.argsort(-np.nanmean(scores, axis=1), kind="stable")[: max(2, -(-len(scores) // 2))]
    return order[:: -(-len(order) // MOST_TRIALS)]


def _metrics(record: StudyRecord) -> dict[str, str]:
    """Return the metrics of the tasks whose rows are not right or wrong."""
    found = _told(record, "metrics")
    return {t: name if name != ACCURACY else f"{kind}_{name}" for t, (kind, name) in found.items()}


def _told(record: StudyRecord, field: str) -> dict[str, Any]:
    known = (record.header, *record.baselines.values(), *record.tested.values())
    return next((dict(event[field]) for event in known if field in event), {})
