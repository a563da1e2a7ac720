"""How many examples of each task an epoch has, and which: task sampling.

An epoch is as long as all train rows together, or has `epoch_examples`, so that one large task does
not decide how long it is. `proportional` shows every row as often; `uniform` and `temperature`
(share ~ rows^(1/T), as in multilingual BERT) show a small task several times, in passes that are
shuffled anew, and of a large task a fresh random part every epoch.
"""

from collections.abc import Sequence

import numpy as np

from mtl_core.data.config import BatchConfig
from mtl_core.data.cutting import shuffled


def examples_per_task(
    rows: Sequence[int], names: Sequence[str], config: BatchConfig
) -> tuple[int, ...]:
    """Return the number of examples of each task in an epoch.

    Shares are rounded by largest remainder, ties by name, and no task gets less than one: where
    that adds nothing, they sum to the epoch's.
    """
    if config.sampling == "proportional" and config.epoch_examples is None:
        return tuple(rows)
    total = sum(rows) if config.epoch_examples is None else config.epoch_examples
    exponents = {
        "proportional": 1.0,
        "uniform": 0.0,
        "temperature": 1 / config.sampling_temperature,
    }
    # As a share of the largest, so that a small T cannot overflow.
    weights = (np.asarray(rows) / max(rows)) ** exponents[config.sampling]
    exact = np.round(total * weights / weights.sum(), 6)  # (K,), equal on every machine
    counts = np.maximum(np.floor(exact).astype(np.int64), 1)
    by_remainder = sorted(
        range(len(rows)), key=lambda task: (counts[task] - exact[task], names[task])
    )
    for task in by_remainder[: max(total - int(counts.sum()), 0)]:
        counts[task] += 1
    return tuple(counts.tolist())


def draw_examples(n_rows: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return `count` row numbers below `n_rows`: passes in random order, the last one cut."""
    passes = [shuffled(n_rows, rng) for _ in range(-(-count // n_rows))]
    return np.concatenate(passes)[:count]
