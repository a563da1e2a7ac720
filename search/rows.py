"""The rows of tested tasks as text for the journal: right or wrong, or what each adds to a metric.

Right or wrong is one bit a row; counts of other metrics are compressed numbers; both in base64. 16
tasks of 400 rows are one kilobyte, so the journal alone suffices to compare two models on the same
rows, and the test files need not be touched again.
"""

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mtl_core.metrics import ACCURACY, get_metric
from search.report.statistics import OfTask, Scored

if TYPE_CHECKING:
    from mtl_core.data.encoded import EncodedCorpus
    from mtl_core.training.task_evaluation import TaskEvaluation

Bits = NDArray[np.bool_]
_COUNTS = np.dtype("<f4")


def rows_of(found: "TaskEvaluation") -> OfTask:
    """Return what is kept of a task's rows: right or wrong, or what each adds to its metric."""
    return found.correct if found.metric is ACCURACY else Scored(found.counts, found.metric)


def metrics_of(encoded: "EncodedCorpus") -> dict[str, tuple[str, str]]:
    """Return kind and metric of the tasks that are no classification scored by accuracy."""
    return {
        task.name: (task.kind, task.metric)
        for task in encoded.tasks
        if get_metric(task.kind, task.metric) is not ACCURACY
    }


def pack(rows: Mapping[str, OfTask]) -> dict[str, str]:
    """Return the text of each task's rows."""
    return {
        task: _pack_counts(of_task.counts) if isinstance(of_task, Scored) else _pack_bits(of_task)
        for task, of_task in rows.items()
    }


def unpack(
    texts: Mapping[str, str], metrics: Mapping[str, tuple[str, str]] | None = None
) -> dict[str, OfTask]:
    """Return the rows of `pack`.

    Args:
        metrics: Kind and metric of the tasks that are no classification scored by accuracy.

    Raises:
        ValueError: A text was not made by `pack`.
    """
    known = metrics or {}
    return {
        task: Scored(_unpack_counts(text), get_metric(*known[task]))
        if task in known
        else _unpack_bits(text)
        for task, text in texts.items()
    }


def unpack_bits(texts: Mapping[str, str]) -> dict[str, Bits]:
    """Return the rows of `pack`, all of them bits."""
    return {task: _unpack_bits(text) for task, text in texts.items()}


def _pack_bits(bits: Bits) -> str:
    return f"{len(bits)}:{base64.b64encode(np.packbits(bits).tobytes()).decode()}"


def _pack_counts(counts: NDArray[np.float64]) -> str:
    packed = base64.b64encode(zlib.compress(counts.astype(_COUNTS).tobytes(), 9)).decode()
    return f"{counts.shape[0]}x{counts.shape[1]}:{packed}"


def _unpack_counts(text: str) -> NDArray[np.float64]:
    shape, _, packed = text.partition(":")
    rows, _, width = shape.partition("x")
    try:
        data = np.frombuffer(zlib.decompress(base64.b64decode(packed, validate=True)), _COUNTS)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"not packed rows: {text[:40]!r}") from error
    return data.reshape(int(rows), int(width)).astype(np.float64)


def _unpack_bits(text: str) -> Bits:
    number, _, packed = text.partition(":")
    try:
        data = np.frombuffer(base64.b64decode(packed, validate=True), np.uint8)
    except binascii.Error as error:
        raise ValueError(f"not packed rows: {text[:40]!r}") from error
    if len(data) != -(-int(number) // 8):
        raise ValueError(f"{len(data)} bytes cannot hold {number} rows")
    return np.unpackbits(data, count=int(number)).astype(bool)
