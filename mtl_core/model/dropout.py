"""Dropout masks from random bytes, several times faster on a CPU than `bernoulli_`.

A unit is kept when 16 random bits are not below a threshold, so the share dropped is a multiple of
1/65,536; kept units are scaled by the share really kept, so that expectations are exact. The bits
are NumPy's SFC64, which takes half the time of torch's own generator (Srivastava et al., 2014). On
other devices torch's own masks are fast, and are taken, from a generator of their own.

Each part of a pass has its own `Noise`, and draws from it in the same order whatever other parts
there are: so a lane's masks follow from its seed and step alone.
"""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_LEVELS = 1 << 16
_LARGEST_DRAW = 1 << 17  # so that the bits are still in the cache when they are used
_BLOCK = 1 << 14  # least draw, so that a small model draws once and not at every place of dropout


class Noise:
    """The random bits of one part of a pass; new ones are drawn when the last draw is used up.

    Args:
        seed: Decides all of them; None: drawn from torch's global generator.
    """

    def __init__(self, device: torch.device, seed: int | None = None) -> None:
        self._device, self._seed = device, seed
        self._bits = torch.empty(0, dtype=torch.int16)

    def mask(self, shape: Sequence[int], share: float, dtype: torch.dtype) -> Tensor:
        """Return a tensor of 0, with probability `share`, and of 1 / (share kept)."""
        mask = torch.empty(shape, dtype=dtype, device=self._device)
        self.write(share, out=mask)
        return mask

    def write(self, share: float, *, out: Tensor) -> None:
        """Write such a mask to `out`, which is contiguous."""
        self.write_kept(share, out=out)
        out.mul_(kept_scale(share))

    def write_kept(self, share: float, *, out: Tensor) -> None:
        """Write 1 to `out` where a unit is kept, else 0."""
        if self._device.type == "cpu":
            levels = dropped_levels(share)
            for part in torch.split(out.view(-1), _LARGEST_DRAW):
                write_kept(self._take(part.numel()), levels, out=part)
        else:
            out.bernoulli_(1 / kept_scale(share), generator=self._generator)

    @cached_property
    def _source(self) -> np.random.SFC64:
        return np.random.SFC64(draw_seed() if self._seed is None else self._seed)

    @cached_property
    def _generator(self) -> torch.Generator:
        seed = draw_seed() if self._seed is None else self._seed
        return torch.Generator(self._device).manual_seed(seed)

    def _take(self, count: int) -> Tensor:
        if self._bits.numel() < count:
            self._bits = random_bits(max(count, _BLOCK), self._source)
        taken, self._bits = self._bits[:count], self._bits[count:]
        return taken


class Span(NamedTuple):
    """Places start to end of a pass, of one part; `noise` is None where nothing is dropped."""

    start: int
    end: int
    noise: Noise | None
    share: float


def drop_mask(
    spans: Sequence[Span], width: int, dtype: torch.dtype, device: torch.device
) -> Tensor | None:
    """Return the mask of all places, (places, width); None where no part drops anything."""
    if not any(span.noise and span.share for span in spans):
        return None
    mask = torch.empty(spans[-1].end, width, dtype=dtype, device=device)
    for start, end, noise, share in spans:
        if noise and share:
            noise.write(share, out=mask[start:end])
        else:
            mask[start:end] = 1
    return mask


def draw_seed() -> int:
    """Return a seed from torch's global generator."""
    return int(torch.empty((), dtype=torch.int64).random_())


def random_bits(count: int, source: np.random.SFC64) -> Tensor:
    """Return `count` random 16-bit numbers, as signed ones."""
    words = source.random_raw(math.ceil(count / 4))  # 64 bits each
    return torch.from_numpy(words.view(np.int16))[:count]


def dropped_levels(share: float) -> int:
    """Return how many of the 65,536 values of 16 bits are dropped."""
    return min(round(share * _LEVELS), _LEVELS - 1)


def kept_scale(share: float) -> float:
    """Return what kept units are multiplied by: 1 / (share really kept)."""
    return _LEVELS / (_LEVELS - dropped_levels(share))


def write_kept(bits: Tensor, levels: int, *, out: Tensor) -> None:
    """Write 1 to `out` where a unit is kept, else 0."""
    # An `out` of another type takes the result in the same pass that compares.
    torch.ge(bits.view(out.shape), levels - _LEVELS // 2, out=out)
