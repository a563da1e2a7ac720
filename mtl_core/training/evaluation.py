"""How well a model does on a split: row by row, and as one score per task.

Rows of dev and test that occur in the train split of some task can be had by heart, so the score is
given twice: over all rows, and over the rows never seen in training. Shapes: n rows.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mtl_core.data.batches import collate, evaluation_steps
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.model.encoder import MultiTaskEncoder


@dataclass(frozen=True, kw_only=True)
class TaskEvaluation:
    """One task on one split, rows in the order of the split; the metric is accuracy, 0 to 1.

    Args:
        predicted, labels: Classes, (n,).
        seen_in_train: Whether the row's text occurs in the train split of any task, (n,).
    """

    predicted: NDArray[np.int64]
    labels: NDArray[np.int64]
    seen_in_train: NDArray[np.bool_]

    @property
    def correct(self) -> NDArray[np.bool_]:
        return self.predicted == self.labels

    @property
    def n_rows(self) -> int:
        return len(self.labels)

    @property
    def n_unseen(self) -> int:
        return int((~self.seen_in_train).sum())

    @property
    def score(self) -> float:
        return float(self.correct.mean())

    @property
    def score_unseen(self) -> float | None:
        """The score over the rows never seen in training; None where there is no such row."""
        return float(self.correct[~self.seen_in_train].mean()) if self.n_unseen else None


def evaluate(
    model: MultiTaskEncoder, corpus: EncodedCorpus, split: str, device: str | torch.device = "cpu"
) -> dict[str, TaskEvaluation]:
    """Return the evaluation of every task by name; the model is put back as it was."""
    parts = [corpus.split(task, split) for task in range(corpus.n_tasks)]
    predicted = [np.zeros(len(part), dtype=np.int64) for part in parts]
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for step in evaluation_steps([part.lengths for part in parts]):
            classes = model(collate(corpus, split, step).to(device)).argmax(dim=1)
            predicted[step[0].task][step[0].examples] = classes.cpu().numpy()
    model.train(was_training)
    return {
        name: TaskEvaluation(
            predicted=mine, labels=np.array(part.labels), seen_in_train=np.array(part.seen_in_train)
        )
        for name, part, mine in zip(corpus.names, parts, predicted, strict=True)
    }


def average(evaluations: dict[str, TaskEvaluation]) -> float:
    """Return the mean of the tasks' scores; each task counts the same, whatever its rows."""
    return sum(of_task.score for of_task in evaluations.values()) / len(evaluations)
