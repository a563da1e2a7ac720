"""Models answer the rows of a split, a minibatch at a time; any number of them go through together.

What the answers are worth is in `task_evaluation.py`. Shapes: n rows, I items of a minibatch, C
classes.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtl_core.data.batches import evaluation_steps
from mtl_core.data.encoded import EncodedCorpus, EncodedSplit, TaskInfo
from mtl_core.data.minibatch import Minibatch, collate, spans
from mtl_core.data.wide import wide_features
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.forward import Part, compute_logits
from mtl_core.training.task_evaluation import TaskEvaluation, evaluation_of

_BYTES_KEPT = 1 << 26  # of a split's minibatches


class SplitBatches:
    """The minibatches of a split, one task each, for every model that is evaluated on it.

    They are kept, n-grams and labels on the device, where they are small.
    """

    def __init__(
        self, corpus: EncodedCorpus, split: str, device: str | torch.device = "cpu"
    ) -> None:
        self.corpus, self.split, self.device = corpus, split, device
        self.parts = [corpus.split(task, split) for task in range(corpus.n_tasks)]
        self.steps = evaluation_steps([part.lengths for part in self.parts])
        self._kept: dict[tuple[int, int], Minibatch] = {}
        self._bytes_kept = 0

    def take(self, number: int, ngrams: int = 0) -> Minibatch:
        """Return a minibatch, with the n-grams of up to `ngrams` words."""
        key = (number, ngrams)
        if key in self._kept:
            return self._kept[key]
        wide = wide_features(self.corpus, ngrams) if ngrams else None
        batch = collate(self.corpus, self.split, self.steps[number], wide).to(self.device)
        self._bytes_kept += batch.nbytes
        if self._bytes_kept <= _BYTES_KEPT:
            self._kept[key] = batch
        return batch


class Evaluation:
    """How far one model has come through a split; `place` is its next minibatch.

    Args:
        ngrams: Words of the longest n-grams that its heads see; 0: they see none.
    """

    def __init__(self, batches: SplitBatches, ngrams: int = 0) -> None:
        self.batches, self.place, self.ngrams = batches, 0, ngrams
        self._predicted: list[Tensor] = []

    @property
    def done(self) -> bool:
        return self.place == len(self.batches.steps)

    def next_batch(self) -> Minibatch:
        return self.batches.take(self.place, self.ngrams)

    def answer(self, outputs: Tensor) -> Tensor:
        """Return what the outputs of that minibatch, (I, C), say."""
        (row,) = self.batches.steps[self.place]
        return _answer(outputs, self.batches.corpus.tasks[row.task])

    def note(self, answers: Tensor) -> None:
        """Take in the answers to that minibatch, and go on to the next."""
        self._predicted.append(answers)  # on the device: it is waited for once
        self.place += 1

    def result(self) -> dict[str, TaskEvaluation]:
        """Return the evaluation of every task by name."""
        assert self.done
        corpus, parts = self.batches.corpus, self.batches.parts
        predicted = [_room(part, info) for part, info in zip(parts, corpus.tasks, strict=True)]
        for (row,), answers in zip(self.batches.steps, self._to_cpu(), strict=True):
            places = _places(parts[row.task], corpus.tasks[row.task], row.examples)
            predicted[row.task][places] = answers
        return {
            info.name: evaluation_of(part, info, mine)
            for info, part, mine in zip(corpus.tasks, parts, predicted, strict=True)
        }

    def _to_cpu(self) -> list[NDArray[np.generic]]:
        """Return the answers of all minibatches; those of one shape and type come together."""
        found: list[NDArray[np.generic]] = [np.empty(0)] * len(self._predicted)
        alike: dict[object, list[int]] = {}
        for at, answers in enumerate(self._predicted):
            alike.setdefault((answers.shape[1:], answers.dtype), []).append(at)
        for places in alike.values():
            together = torch.cat([self._predicted[at] for at in places]).cpu().numpy()
            edges = np.cumsum([len(self._predicted[at]) for at in places])[:-1]
            for at, part in zip(places, np.split(together, edges), strict=True):
                found[at] = part
        return found


@torch.no_grad()
def advance(models: Sequence[MultiTaskEncoder], evaluations: Sequence[Evaluation]) -> None:
    """Evaluate each model on its next minibatch, all in one pass; they are of one family.

    Where an exception is raised, none has gone on to its next.
    """
    parts = [
        Part(model=model, batch=evaluation.next_batch())
        for model, evaluation in zip(models, evaluations, strict=True)
    ]
    pairs = zip(evaluations, compute_logits(parts), strict=True)
    answers = [evaluation.answer(outputs) for evaluation, outputs in pairs]
    for evaluation, of_batch in zip(evaluations, answers, strict=True):
        evaluation.note(of_batch)


def evaluate(
    model: MultiTaskEncoder, corpus: EncodedCorpus, split: str, device: str | torch.device = "cpu"
) -> dict[str, TaskEvaluation]:
    """Return the evaluation of every task by name; the model is put back as it was."""
    evaluation = Evaluation(SplitBatches(corpus, split, device), model.config.ngrams_seen)
    was_training = model.training
    while not evaluation.done:
        advance([model], [evaluation])
    model.train(was_training)
    return evaluation.result()


def _answer(outputs: Tensor, info: TaskInfo) -> Tensor:
    """Return what a model says: classes or tags (I,), values (I,), or which labels hold (I, C)."""
    if info.kind == "regression":
        return outputs[:, 0].float()
    if info.kind == "multilabel":
        return outputs[:, : info.n_outputs] > 0
    return outputs.argmax(dim=1)


def _room(part: EncodedSplit, info: TaskInfo) -> NDArray[np.generic]:
    if info.kind == "regression":
        return np.zeros(len(part), dtype=np.float32)
    if info.kind == "multilabel":
        return np.zeros((len(part), info.n_outputs), dtype=np.bool_)
    return np.zeros(len(part.words) if info.kind == "tagging" else len(part), dtype=np.int64)


def _places(part: EncodedSplit, info: TaskInfo, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where the answers to some rows stand."""
    return spans(part.offsets[rows], part.lengths[rows]) if info.kind == "tagging" else rows
