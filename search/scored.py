"""What the journal keeps of a model on dev and test: scores, and the rows behind them (`rows.py`).

Whoever asks for it touches test, and writes the answer into the journal before anything else is
made of it: `confirm.py` as "confirmed", `finish.py` as "tested".
"""

from collections.abc import Mapping
from typing import Any

import torch

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.training.evaluation import evaluate
from mtl_core.training.task_evaluation import TaskEvaluation
from search.rows import metrics_of, pack, rows_of


def scored(
    model: MultiTaskEncoder, encoded: EncodedCorpus, device: str | torch.device
) -> dict[str, Any]:
    """Evaluate a model on dev and on test, and return what the journal keeps of it."""
    dev = evaluate(model, encoded, "dev", device)
    test = evaluate(model, encoded, "test", device)
    return {
        "dev": {task: found.score for task, found in dev.items()},
        "dev_rows": {task: found.n_rows for task, found in dev.items()},
        "dev_correct": pack({task: rows_of(found) for task, found in dev.items()}),
        **packed_test(test, encoded),
        "scores": {task: scores_of(found) for task, found in test.items()},
    }


def packed_test(test: Mapping[str, TaskEvaluation], encoded: EncodedCorpus) -> dict[str, Any]:
    """Return the test rows, packed, and which of them occur in train."""
    return {
        "correct": pack({task: rows_of(found) for task, found in test.items()}),
        "metrics": metrics_of(encoded),
        "seen": pack({task: found.seen_in_train for task, found in test.items()}),
    }


def scores_of(found: TaskEvaluation) -> dict[str, Any]:
    """Return a task's test score, plain and on unseen rows, with the number of rows."""
    return {
        found.metric.name: found.score,
        "rows": found.n_rows,
        f"{found.metric.name}_unseen": found.score_unseen,
        "rows_unseen": found.n_unseen,
    }
