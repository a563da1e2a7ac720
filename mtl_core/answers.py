"""What was said of a task's rows beside what is right, from labels as they are written.

For classifiers that know no encoded corpus (`baselines.py`); a model's answers come from
`training/evaluation.py`. Shapes: n rows, C labels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtl_core.data.targets import value_scale
from mtl_core.data.task import NO_LABEL, Task, labels_in
from mtl_core.metrics import Answers, Metric, get_metric

Predicted = NDArray[np.generic]  # labels, values, whether labels hold (n, C), or lists of tags


@dataclass(frozen=True)
class Answered:
    """One task on one split.

    Args:
        given: The rows that have a label, which are those of `answers`, (n,).
    """

    answers: Answers
    metric: Metric
    given: NDArray[np.bool_]

    @property
    def score(self) -> float:
        return self.metric.score(self.answers)


def answer(task: Task, split: str, predicted: Predicted) -> Answered:
    """Return what was said of the rows of a split, in file order, beside what is right.

    Values are standardised by train.
    """
    labels = task.splits[split].labels
    metric = get_metric(task.kind, task.metric)
    if task.kind == "tagging":
        return _tags(task, labels, predicted, metric)
    given = np.array([label != NO_LABEL for label in labels])
    right: NDArray[np.generic]
    if task.kind == "classification":
        numbers = {label: at for at, label in enumerate(task.labels)}
        right = np.array([numbers.get(label, -1) for label in labels])
        predicted = np.array([numbers[label] for label in predicted.tolist()])
    elif task.kind == "regression":
        mean, spread = value_scale(task)  # moments of large raw values would lose their digits
        values = np.array([float(label) if label else np.nan for label in labels])
        right = (values - mean) / spread
        predicted = (predicted.astype(np.float64) - mean) / spread
    else:
        right = np.array(
            [[name in labels_in(label, task.kind) for name in task.labels] for label in labels]
        )
        predicted = predicted > 0.5  # type: ignore[operator]
    return Answered(Answers(predicted[given], right[given], task.labels), metric, given)


def _tags(task: Task, labels: tuple[str, ...], predicted: Predicted, metric: Metric) -> Answered:
    """Of each text the words count whose tag the task has."""
    numbers = {tag: at for at, tag in enumerate(task.labels)}
    said: list[int] = []
    right: list[int] = []
    lengths = []
    for tags, of_text in zip(labels, predicted.tolist(), strict=True):
        pairs = [
            (numbers[found], numbers[tag])
            for tag, found in zip(tags.split(" "), of_text, strict=False)
            if tag in numbers
        ]
        said += [found for found, _ in pairs]
        right += [tag for _, tag in pairs]
        lengths.append(len(pairs))
    counts = np.array(lengths)
    offsets = np.concatenate([[0], np.cumsum(counts[counts > 0])]).astype(np.int64)
    answers = Answers(np.array(said), np.array(right), task.labels, offsets)
    return Answered(answers, metric, counts > 0)
