"""Which row of the word table holds a word, for each bank of the embedding.

A bank holds the words that occur in train of the tasks that use it, so a plan that shares little
does not carry every task's words in every bank. The rows of all banks stand in one table, bank
after bank. Of a pretrained vocabulary, no word is unknown: those that some bank does not hold stand
once more after all banks, for all of them. None of these is trained by who reads it there, so it is
as if every bank held every word.
Shapes: G banks of the embedding, V words of the vocabulary, E width of a word vector.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mtl_core.model.plan import SharingPlan

PADDING_ID, UNKNOWN_ID, CLS_ID = 0, 1, 2
_SPREAD = 0.25


def word_ids_of_banks(
    plan: SharingPlan, vocabulary_of_tasks: np.ndarray, *, all_known: bool = False
) -> list[np.ndarray]:
    """Return the word ids that each bank of the embedding holds, in rising order.

    Args:
        vocabulary_of_tasks: Whether a word is in a task's train split, (K, V).
        all_known: All words have vectors from the start; one more list follows those of the banks,
            of the words that some bank does not hold.
    """
    banks = np.asarray(plan.groups[0])
    ids = []
    for bank in range(plan.n_banks(0)):
        held = vocabulary_of_tasks[banks == bank].any(axis=0)
        held[[PADDING_ID, UNKNOWN_ID, CLS_ID]] = True
        ids.append(np.flatnonzero(held))
    if all_known:
        in_all = np.bincount(np.concatenate(ids), minlength=len(held)) == len(ids)
        ids.append(np.flatnonzero(~in_all))
    return ids


def word_rows(
    ids_of_banks: list[np.ndarray], vocabulary_size: int, *, all_known: bool = False
) -> np.ndarray:
    """Return the table row of each word in each bank, (G, V) int32.

    That of a word that the bank does not hold is the unknown's, or, `all_known`, among those that
    follow the banks.
    """
    rows = np.empty((len(ids_of_banks), vocabulary_size), dtype=np.int32)
    start = 0
    for bank, ids in enumerate(ids_of_banks):
        rows[bank] = start + int(np.searchsorted(ids, UNKNOWN_ID))
        rows[bank, ids] = start + np.arange(len(ids))
        start += len(ids)
    if not all_known:
        return rows
    *banks, rest = ids_of_banks
    for bank, ids in enumerate(banks):
        missing = np.setdiff1d(rest, ids, assume_unique=True)
        rows[bank, missing] = rows[-1, missing]
    return rows[:-1]


def initial_words(
    ids_of_banks: list[np.ndarray],
    width: int,
    streams: Sequence[np.random.Generator],
    vectors: np.ndarray | None,
    found: np.ndarray | None,
) -> Tensor:
    """Return the whole word table: the given vectors, else uniform(-0.25, 0.25); padding is 0.

    Args:
        streams: Random numbers of each bank.
        vectors: Given word vectors, (V, E).
        found: Whether a word has a given vector, (V,); None: all have.
    """
    table = np.empty((sum(len(ids) for ids in ids_of_banks), width), dtype=np.float32)
    start = 0
    for ids, rng in zip(ids_of_banks, streams, strict=True):
        rows = table[start : start + len(ids)]
        rng.random(out=rows, dtype=np.float32)
        rows -= np.float32(0.5)
        rows *= np.float32(2 * _SPREAD)
        rows[ids == PADDING_ID] = 0
        if vectors is not None:
            given = np.ones(len(ids), dtype=bool) if found is None else found[ids]
            rows[given] = vectors[ids[given]]
        start += len(ids)
    return torch.from_numpy(table)
