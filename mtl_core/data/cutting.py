"""One task's examples in an order, cut into rows: texts of like length together, yet at random.

A row is padded to its longest text, so 50 random reviews are two thirds padding. Sorting by length
brings that near nothing but always shows the same texts together; sorting by a length that was
shaken a little (`by_length`) keeps most of the gain and lets every epoch mix anew.

Orders come from `Generator.random` and stable sorts alone, the parts of NumPy that give the same
numbers in every version and on every machine.
"""

from bisect import bisect_left
from itertools import pairwise

import numpy as np

# Largest relative change of a length before sorting; see tests/data/test_cutting.py for its price.
SHAKE = 0.05


def shuffled(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return the numbers 0..n-1 in random order."""
    return np.argsort(rng.random(n), kind="stable")


def by_length(lengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an order, shortest first, in which texts of nearly the same length are mixed."""
    noise = 1 + SHAKE * (2 * rng.random(len(lengths)) - 1)
    return np.argsort(lengths * noise, kind="stable")


def cut_by_size(n: int, size: int, rng: np.random.Generator) -> tuple[list[int], int]:
    """Return the cuts of `n` places into rows of `size`, and which row is the partial one.

    The partial row lies anywhere: at the end of an order by length it would always hold the
    longest texts.
    """
    n_rows = -(-n // size)
    partial = int(rng.random() * n_rows)
    missing = n_rows * size - n
    return [row * size - missing * (row > partial) for row in range(1, n_rows)], partial


def cut_by_words(lengths: np.ndarray, budget: int) -> list[int]:
    """Return the fewest cuts such that each row, padded, has at most `budget` words.

    A text longer than the budget has a row of its own.
    """
    cuts, start, longest = [], 0, 0
    for place, length in enumerate(lengths.tolist()):
        longest = max(longest, length)
        if longest * (place - start + 1) > budget and place > start:
            cuts.append(place)
            start, longest = place, length
    return cuts


def cut_evenly(n: int, n_rows: int, rng: np.random.Generator) -> list[int]:
    """Return the cuts of `n` places into `n_rows` rows whose sizes differ by one at most."""
    sizes = n // n_rows + (shuffled(n_rows, rng) < n % n_rows)
    return np.cumsum(sizes)[:-1].tolist()


def cut_by_words_into(lengths: np.ndarray, budget: int, n_rows: int) -> list[int]:
    """Return the cuts into exactly `n_rows` rows of at most `budget` words each, as even as can be.

    `n_rows` lies between the number of rows that `budget` asks for and the number of texts.
    """
    budgets = range(1, budget + 1)
    enough = bisect_left(budgets, -n_rows, key=lambda words: -len(cut_by_words(lengths, words)) - 1)
    cuts = cut_by_words(lengths, budgets[min(enough, budget - 1)])
    while len(cuts) + 1 < n_rows:
        edges = [0, *cuts, len(lengths)]
        start, stop = max(pairwise(edges), key=lambda row: row[1] - row[0])
        cuts = sorted([*cuts, (start + stop) // 2])
    return cuts
