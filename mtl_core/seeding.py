"""Random streams named by what they are for, the same on every machine.

A stream is a function of a seed and of names ("batches", epoch 3, task "books"), never of what was
drawn before. So a task trained alone and the same task among others see the same order and the same
initial weights, and a continued run needs no generator state.
"""

import hashlib

import numpy as np


def derive_seed(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed that depends on `seed` and on every one of `names`, in order."""
    text = "\x1f".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the NumPy generator of that name; two calls give the same numbers."""
    return np.random.Generator(np.random.Philox(derive_seed(seed, *names)))
