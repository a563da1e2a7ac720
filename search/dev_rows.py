"""The dev rows of one report as one short text: what each row adds to the score of its task.

Of accuracy that is right or wrong, a bit a row; of any other metric how far the row moves the
score, times the rows (the delta method, `Scored.influences`), in 255 steps. So any two epochs of
any trials can be compared on the same rows, at 34 bytes for 200 rows.
"""

import base64
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from search.report.statistics import OfTask, Scored

if TYPE_CHECKING:
    from mtl_core.training.task_evaluation import TaskEvaluation

Floats = NDArray[np.float64]
_STEPS = 127
_BITS, _STEPPED = "b", "s"


def pack_evaluations(evaluations: Mapping[str, "TaskEvaluation"]) -> str:
    """Return the text of all tasks, in their order."""
    from search.rows import rows_of

    return pack_dev({task: rows_of(found) for task, found in evaluations.items()})


def pack_dev(rows: Mapping[str, OfTask]) -> str:
    return " ".join(_pack(of_task) for of_task in rows.values())


def unpack_dev(text: str) -> list[Floats]:
    """Return for each task what its rows add: 0 or 1, or how far each moves the score, (rows,)."""
    return [_unpack(part) for part in text.split(" ")]


def are_right_or_wrong(text: str) -> list[bool]:
    """Return for each task whether its rows are right or wrong, as those of accuracy."""
    return [part.startswith(_BITS) for part in text.split(" ")]


def _pack(of_task: OfTask) -> str:
    if not isinstance(of_task, Scored):
        return f"{_BITS}:{len(of_task)}:1:{_text(np.packbits(of_task).tobytes())}"
    moved = np.nan_to_num(of_task.influences())
    step = float(np.abs(moved).max(initial=0.0)) / _STEPS or 1.0
    stepped = np.rint(moved / step).astype(np.int8)
    return f"{_STEPPED}:{len(moved)}:{step:.6g}:{_text(zlib.compress(stepped.tobytes(), 9))}"


def _unpack(part: str) -> Floats:
    kind, count, step, text = part.split(":")
    data = base64.b64decode(text, validate=True)
    if kind == _BITS:
        return np.unpackbits(np.frombuffer(data, np.uint8), count=int(count)).astype(np.float64)
    stepped = np.frombuffer(zlib.decompress(data), np.int8)
    return stepped.astype(np.float64) * float(step)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
