"""How much of a dev score is luck: the variance that its rows give it.

A share of right rows varies as a binomial does, p (1 - p) / rows; a correlation (Pearson,
Spearman, Matthews) roughly as (1 - r^2)^2 / rows (Fisher, 1915). Any other metric is taken for a
share of rows, which is near the truth for F1 and too much where a row has several things to get
right. p is what tasks and trials have in common (a sum of both), since a score of its own would
say least noise of the luckiest.

Trials are scored on the same rows, of which some are hard for all. That part of the noise is the
same for all trials: it is in the task's effect, and in no difference between trials. Only the rest
is noise here. How much it is cannot be had from scores, so all of the variance is counted, which
draws trials together more than need be, never less. Nor does one training say what another seed
would change; this is for confirmation to find out.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from search.record import StudyRecord

Floats = NDArray[np.float64]
CORRELATIONS = ("pearson", "spearman", "matthews")


def noise_of(
    scores: Floats, tasks: Sequence[str], dev_rows: Mapping[str, int], metrics: Mapping[str, str]
) -> Floats:
    """Return the variance of each score, (N, K).

    Args:
        scores: (N, K); NaN where one is missing.
        dev_rows: Rows by task. Of a task that is not in it, all is taken for noise that neither
            the task nor the trials explain.
        metrics: By task; accuracy where one is not in it.
    """
    expected = _expected(scores)
    columns = [
        _variance(expected[:, at], dev_rows[task], metrics.get(task, "accuracy"))
        if dev_rows.get(task)
        else np.full(len(scores), np.nanvar((scores - expected)[:, at]))
        for at, task in enumerate(tasks)
    ]
    return np.stack(columns, axis=1)


def dev_rows_of(record: StudyRecord) -> dict[str, int]:
    """Return the rows behind the dev scores by task, as far as the journal says."""
    known = (record.header, *record.baselines.values(), *record.tested.values())
    return next((dict(event["dev_rows"]) for event in known if "dev_rows" in event), {})


def metrics_of_tasks(record: StudyRecord) -> dict[str, str]:
    """Return the metrics of the tasks that are not scored by accuracy."""
    known = (record.header, *record.baselines.values(), *record.tested.values())
    found = next((event["metrics"] for event in known if "metrics" in event), {})
    return {task: metric for task, (_, metric) in found.items()}


def _expected(scores: Floats) -> Floats:
    """Return the sum of what tasks and trials have in common, (N, K)."""
    of_tasks = np.nanmean(scores, axis=0)
    return np.asarray(of_tasks + np.nanmean(scores - of_tasks, axis=1)[:, None])


def _variance(expected: Floats, rows: int, metric: str) -> Floats:
    if metric in CORRELATIONS:
        return np.asarray((1 - np.clip(expected, -0.99, 0.99) ** 2) ** 2 / rows)
    share = np.clip(expected, 1 / (rows + 2), 1 - 1 / (rows + 2))
    return np.asarray(share * (1 - share) / rows)
