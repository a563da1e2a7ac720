"""The texts of a pass cut into pieces of about as much work, and the pieces shared out.

Texts never see each other, so how they are cut changes no result but for dropout: each piece has
one of its own. Shapes: N texts.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from mtl_core.model.work import Work


def size_of(work: Work) -> int:
    """Return how much work the texts are: numbers of all words in all layers."""
    return int(work.lengths.sum()) * work.config.d_model * work.plan.n_layers


def cut(work: Work, n_pieces: int) -> list[Work]:
    """Return the texts in pieces that follow one another; of few texts there may be fewer."""
    if n_pieces == 1 or work.config.mean_over_padding:  # to the longest text of all
        return [work]
    words = np.cumsum(work.lengths)
    middles = words - work.lengths / 2
    inner = np.searchsorted(middles, words[-1] * np.arange(1, n_pieces) / n_pieces)
    spans = list(pairwise(np.unique([0, *inner, len(words)]).tolist()))
    noises = work.noise.split(len(spans)) if work.noise else [None] * len(spans)
    return [
        replace(_texts(work, start, stop), noise=noise)
        for (start, stop), noise in zip(spans, noises, strict=True)
    ]


def share_out(parts: Sequence[Sequence[Work]], n_shares: int) -> list[list[tuple[int, int]]]:
    """Return the pieces of each share, as the number of the part and that of its piece.

    The pieces of a part go to the first shares, one to each and in order, so that what is summed
    over them is summed in one order, whatever other parts there are. Whole parts follow: the
    largest first, each to the share with the least.

    Args:
        parts: The pieces of each, at most `n_shares`.
    """
    shares: list[list[tuple[int, int]]] = [[] for _ in range(n_shares)]
    loads = [0] * n_shares

    def give(share: int, part: int, piece: int) -> None:
        shares[share].append((part, piece))
        loads[share] += size_of(parts[part][piece])

    whole = []
    for number, pieces in enumerate(parts):
        if len(pieces) == 1:
            whole.append(number)
        else:
            for piece in range(len(pieces)):
                give(piece, number, piece)
    for number in sorted(whole, key=lambda number: -size_of(parts[number][0])):
        give(loads.index(min(loads)), number, 0)
    return [share for share in shares if share]


def _texts(work: Work, start: int, stop: int) -> Work:
    """Return the work of some of the texts, padded to the longest of them.

    The minibatch is without what no encoder reads: labels and n-grams.
    """
    batch, lengths = work.batch, work.lengths[start:stop]
    edges = np.clip(np.cumsum([0, *batch.sizes]), start, stop)
    sizes = np.diff(edges).tolist()
    width = int(lengths.max())
    return replace(
        work,
        batch=replace(
            batch,
            words=batch.words[start:stop, :width],
            lengths=batch.lengths[start:stop],
            labels=batch.labels[:0],
            tasks=tuple(task for task, size in zip(batch.tasks, sizes, strict=True) if size),
            sizes=tuple(size for size in sizes if size),
            n_labels=(),
            seconds=None if batch.seconds is None else batch.seconds[start:stop],
            wide=None,
        ),
        word_places=work.word_places[start:stop, : width + work.word_offset],
        lengths=lengths,
    )
