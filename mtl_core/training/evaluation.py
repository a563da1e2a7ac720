"""How well a model does on a split: row by row, and as one score per task.

Rows of dev and test that occur in the train split of some task can be had by heart, so the score is
given twice: over all rows, and over the rows never seen in training. Shapes: n rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtl_core.data.batches import Minibatch, collate, evaluation_steps
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.forward import Part, compute_logits

_BYTES_KEPT = 1 << 26  # of a split's minibatches


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


class SplitBatches:
    """The minibatches of a split, one task each, for every model that is evaluated on it.

    They are kept on the device where they are small.
    """

    def __init__(
        self, corpus: EncodedCorpus, split: str, device: str | torch.device = "cpu"
    ) -> None:
        self.corpus, self.split, self.device = corpus, split, device
        self.parts = [corpus.split(task, split) for task in range(corpus.n_tasks)]
        self.steps = evaluation_steps([part.lengths for part in self.parts])
        self._kept: dict[int, Minibatch] = {}
        self._bytes_kept = 0

    def take(self, number: int) -> Minibatch:
        if number in self._kept:
            return self._kept[number]
        batch = collate(self.corpus, self.split, self.steps[number]).to(self.device)
        self._bytes_kept += batch.words.nbytes
        if self._bytes_kept <= _BYTES_KEPT:
            self._kept[number] = batch
        return batch


class Evaluation:
    """How far one model has come through a split; `place` is its next minibatch."""

    def __init__(self, batches: SplitBatches) -> None:
        self.batches, self.place = batches, 0
        self._predicted: list[Tensor] = []

    @property
    def done(self) -> bool:
        return self.place == len(self.batches.steps)

    def next_batch(self) -> Minibatch:
        return self.batches.take(self.place)

    def note(self, classes: Tensor) -> None:
        """Take in the likeliest classes of that minibatch, (N,), and go on to the next."""
        self._predicted.append(classes)  # left on the device: it is waited for once
        self.place += 1

    def result(self) -> dict[str, TaskEvaluation]:
        """Return the evaluation of every task by name."""
        assert self.done
        parts = self.batches.parts
        predicted = [np.zeros(len(part), dtype=np.int64) for part in parts]
        classes, start = torch.cat(self._predicted).cpu().numpy(), 0
        for (row,) in self.batches.steps:
            stop = start + len(row.examples)
            predicted[row.task][row.examples] = classes[start:stop]
            start = stop
        return {
            name: TaskEvaluation(
                predicted=mine,
                labels=np.array(part.labels),
                seen_in_train=np.array(part.seen_in_train),
            )
            for name, part, mine in zip(self.batches.corpus.names, parts, predicted, strict=True)
        }


@torch.no_grad()
def advance(models: Sequence[MultiTaskEncoder], evaluations: Sequence[Evaluation]) -> None:
    """Evaluate each model on its next minibatch, all in one pass; they are of one family."""
    parts = [
        Part(model=model, batch=evaluation.next_batch())
        for model, evaluation in zip(models, evaluations, strict=True)
    ]
    classes = [logits.argmax(dim=1) for logits in compute_logits(parts)]
    for evaluation, of_model in zip(evaluations, classes, strict=True):
        evaluation.note(of_model)


def evaluate(
    model: MultiTaskEncoder, corpus: EncodedCorpus, split: str, device: str | torch.device = "cpu"
) -> dict[str, TaskEvaluation]:
    """Return the evaluation of every task by name; the model is put back as it was."""
    evaluation = Evaluation(SplitBatches(corpus, split, device))
    was_training = model.training
    while not evaluation.done:
        advance([model], [evaluation])
    model.train(was_training)
    return evaluation.result()


def average(evaluations: dict[str, TaskEvaluation]) -> float:
    """Return the mean of the tasks' scores; each task counts the same, whatever its rows."""
    return sum(of_task.score for of_task in evaluations.values()) / len(evaluations)
