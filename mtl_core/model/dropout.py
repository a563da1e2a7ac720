"""Dropout masks from random bytes, several times faster on a CPU than `bernoulli_`.

A unit is kept when a random number of 8 bits is not below a threshold, or one of 16 bits where 8
are too coarse for the share asked for; so the share really dropped is a multiple of 1/256 or of
1/65,536, and kept units are scaled by the share really kept, so that expectations are exact. The
bits are NumPy's SFC64, which takes half the time of torch's own generator (Srivastava et al.,
2014). On a GPU a mask is a function of two keys and the number of a unit, and is made where it is
used (`kernels/dropout.py`).

Each part of a pass has its own `Noise`, and draws from it in the same order whatever other parts
there are: so a lane's masks follow from its seed and step alone.
"""

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mtl_core.kernels.tiles import Bounds, as_words, send
from mtl_core.kernels.usable import usable

_COARSE_ENOUGH = 0.02  # largest relative error of a share in 1/256 that 16 bits would mend
_32_BITS = np.uint64((1 << 32) - 1)
_KEYS_AT_ONCE = 32
_LARGEST_DRAW = 1 << 18  # bytes, so that they are still in the cache when they are used
_LEAST_DRAW = 1 << 14  # so that a small model draws once and not at every place of dropout


class Noise:
    """The random bits of one part of a pass; new ones are drawn when the last draw is used up.

    Args:
        seed: Decides all of them; None: drawn from torch's global generator.
    """

    def __init__(self, device: torch.device, seed: int | None = None) -> None:
        self._device, self._seed = device, seed
        self._n_keys, self._keys = 0, list[tuple[int, int]]()
        self._bytes = torch.empty(0, dtype=torch.int8)

    def mask(self, shape: Sequence[int], share: float, dtype: torch.dtype) -> Tensor:
        """Return a tensor of 0, with probability `share`, and of 1 / (share kept)."""
        mask = torch.empty(shape, dtype=dtype, device=self._device)
        self.write(share, out=mask)
        return mask

    def keys(self) -> tuple[int, int]:
        """Return the keys of the next draw of a kernel, 32 bits each."""
        if self._n_keys % _KEYS_AT_ONCE == 0:
            numbers = 1 + self._n_keys + np.arange(_KEYS_AT_ONCE, dtype=np.uint64)
            bits = split_mix(self._known_seed, numbers)
            pairs = zip((bits >> np.uint64(32)).tolist(), (bits & _32_BITS).tolist(), strict=True)
            self._keys = list(pairs)
        self._n_keys += 1
        return self._keys[(self._n_keys - 1) % _KEYS_AT_ONCE]

    def write(self, share: float, *, out: Tensor) -> None:
        """Write such a mask to `out`, which is contiguous."""
        self.write_kept(share, out=out)
        out.mul_(kept_scale(share))

    def write_kept(self, share: float, *, out: Tensor) -> None:
        """Write 1 to `out` where a unit is kept, else 0."""
        if self._device.type != "cpu":
            out.bernoulli_(1 / kept_scale(share), generator=self._generator)
            return
        dtype, least_kept = threshold(share)
        for part in torch.split(out.view(-1), _LARGEST_DRAW // dtype.itemsize):
            # An `out` of another type takes the result in the same pass that compares.
            torch.ge(self._take(part.numel(), dtype), least_kept, out=part)

    def split(self, count: int) -> list["Noise"]:
        """Return sources that follow from this one's seed, and not from what it has drawn."""
        seeds = split_mix(self._known_seed, np.arange(1, 1 + count, dtype=np.uint64))
        return [Noise(self._device, int(seed)) for seed in seeds]

    @cached_property
    def _known_seed(self) -> int:
        return draw_seed() if self._seed is None else self._seed

    @cached_property
    def _source(self) -> np.random.SFC64:
        return np.random.SFC64(self._known_seed)

    @cached_property
    def _generator(self) -> torch.Generator:
        return torch.Generator(self._device).manual_seed(self._known_seed)

    def _take(self, count: int, dtype: torch.dtype) -> Tensor:
        """Return so many random numbers of a type."""
        n_bytes = count * dtype.itemsize
        at_odd_place = self._bytes.storage_offset() % dtype.itemsize
        if self._bytes.numel() < n_bytes + at_odd_place:
            self._bytes = random_bytes(max(n_bytes, _LEAST_DRAW), self._source)
        elif at_odd_place:
            self._bytes = self._bytes[1:]
        taken, self._bytes = self._bytes[:n_bytes], self._bytes[n_bytes:]
        return taken.view(dtype)


class Span(NamedTuple):
    """Places start to end of a pass, of one part; `noise` is None where nothing is dropped."""

    start: int
    end: int
    noise: Noise | None
    share: float


def drop(x: Tensor, spans: Sequence[Span]) -> Tensor:
    """Return x with a share of each span dropped, (places, width)."""
    if not drops(spans):
        return x
    if usable(x.device, x.dtype):
        from mtl_core.kernels.dropout import dropout

        bounds = tuple((span.start, span.end) for span in spans)
        return dropout(x, bounds, table_of(tuple(spans), bounds, x.device))
    mask = drop_mask(spans, x.shape[1], x.dtype, x.device)
    return x if mask is None else x * mask


def drop_mask(
    spans: Sequence[Span], width: int, dtype: torch.dtype, device: torch.device
) -> Tensor | None:
    """Return the mask of all places, (places, width); None where no part drops anything."""
    if not drops(spans):
        return None
    if usable(device, dtype):
        return drop(torch.ones(spans[-1].end, width, dtype=dtype, device=device), spans)
    mask = torch.empty(spans[-1].end, width, dtype=dtype, device=device)
    for start, end, noise, share in spans:
        if noise and share:
            noise.write(share, out=mask[start:end])
        else:
            mask[start:end] = 1
    return mask


def table_of(spans: Sequence[Span], bounds: Bounds, device: torch.device) -> Tensor:
    """Return what a kernel is to drop of each run, (R, 5) int32 (`kernels/dropout.py`).

    Args:
        spans: Each run is in one of them.
    """
    table, noises = _without_keys(tuple(spans), bounds)
    table = table.copy()
    if noises:
        keys = as_words([noise.keys() if noise else (0, 0) for noise, _ in noises])
        table[:, 1:3] = np.repeat(keys, [count for _, count in noises], axis=0)
    return send(table, device)


def drops(spans: Sequence[Span]) -> bool:
    """Whether any of it is dropped."""
    return any(span.noise and span.share for span in spans)


@lru_cache(maxsize=64)  # the layers of a pass mostly have the same runs
def _without_keys(
    spans: tuple[Span, ...], bounds: Bounds
) -> tuple[np.ndarray, list[tuple[Noise | None, int]]]:
    """Return the table without keys, and whose these are to be for how many runs each; none where
    nothing is dropped."""
    from mtl_core.kernels.dropout import span_table

    if not drops(spans):
        return np.zeros((len(bounds), 5), dtype=np.int32), []
    of_run = np.searchsorted([of.end for of in spans], [start for start, _ in bounds], side="right")
    shares = np.array([of.share if of.noise else 0.0 for of in spans])
    table = span_table(np.array([of.start for of in spans])[of_run], shares[of_run])
    counts = np.bincount(of_run, minlength=len(spans)).tolist()
    # One that drops nothing draws no keys, whatever others do.
    noises = [of.noise if of.share else None for of in spans]
    return table, list(zip(noises, counts, strict=True))


def split_mix(seed: int, numbers: np.ndarray) -> np.ndarray:
    """Return the so-manieth 64 bits that follow from the seed (Steele, Lea and Flood, 2014).

    Args:
        numbers: uint64, as is the result.
    """
    bits = np.uint64(seed) + numbers * np.uint64(0x9E3779B97F4A7C15)  # whatever overflows is left
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def draw_seed() -> int:
    """Return a seed from torch's global generator."""
    return int(torch.empty((), dtype=torch.int64).random_())


def random_bytes(count: int, source: np.random.SFC64) -> Tensor:
    """Return `count` random bytes, as signed numbers."""
    words = source.random_raw(math.ceil(count / 8))  # 64 bits each
    return torch.from_numpy(words.view(np.int8))[:count]


def threshold(share: float) -> tuple[torch.dtype, int]:
    """Return the type of the random numbers, and the least of them that is kept."""
    for dtype in (torch.int8, torch.int16):
        levels = 256**dtype.itemsize
        dropped = min(round(share * levels), levels - 1)
        if abs(dropped / levels - share) <= _COARSE_ENOUGH * min(share, 1 - share):
            break
    return dtype, dropped - levels // 2


def kept_scale(share: float) -> float:
    """Return what kept units are multiplied by: 1 / (share really kept)."""
    dtype, least = threshold(share)
    levels = 256**dtype.itemsize
    return levels / (levels // 2 - least)
