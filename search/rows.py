"""Right or wrong, row by row, as text for the journal: one bit a row, then base64.

16 tasks of 400 rows are one kilobyte, so the journal alone suffices to compare two models on the
same rows, and the test files need not be touched again.
"""

import base64
import binascii
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.bool_]


def pack(rows: Mapping[str, Bits]) -> dict[str, str]:
    """Return the text of each task's rows."""
    return {
        task: f"{len(bits)}:{base64.b64encode(np.packbits(bits).tobytes()).decode()}"
        for task, bits in rows.items()
    }


def unpack(texts: Mapping[str, str]) -> dict[str, Bits]:
    """Return the rows of `pack`.

    Raises:
        ValueError: A text was not made by `pack`.
    """
    return {task: _unpack(text) for task, text in texts.items()}


def _unpack(text: str) -> Bits:
    number, _, packed = text.partition(":")
    try:
        data = np.frombuffer(base64.b64decode(packed, validate=True), np.uint8)
    except binascii.Error as error:
        raise ValueError(f"not packed rows: {text[:40]!r}") from error
    if len(data) != -(-int(number) // 8):
        raise ValueError(f"{len(data)} bytes cannot hold {number} rows")
    return np.unpackbits(data, count=int(number)).astype(bool)
