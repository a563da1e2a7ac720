"""A loaded model: asked for the labels of texts, it answers in the words of their task.

`export.py` writes and loads the folder of a model. Shapes: C labels of a task.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import floor, log10, nan
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from mtl_core.data.batches import evaluation_steps
from mtl_core.data.encoded import TaskInfo, task_info
from mtl_core.data.minibatch import Minibatch, read_wide
from mtl_core.data.task import LABEL_SEPARATOR, Split
from mtl_core.data.wide import Ngrams
from mtl_core.data.word_ids import WordIds, encode_rows
from mtl_core.errors import ConfigError, check_names
from mtl_core.model.encoder import MultiTaskEncoder

_DIGITS = 6  # of a value, after the first that differs within one standard deviation


@dataclass(frozen=True)
class Prediction:
    """What a model says of a text.

    Args:
        label: The likeliest label; the labels that hold, with `LABEL_SEPARATOR` between them; the
            value, as a number; or the tag of each word, with a space between them. A word that
            was not read has the tag that it counts as in scores, `O` where there is one.
        probabilities: Of each label; empty for values and tags.
        of_answer: Of each label, or tag, that `label` names, in its order; NaN of a word that was
            not read. Empty for values.
    """

    label: str
    probabilities: dict[str, float] = field(default_factory=dict)
    of_answer: tuple[float, ...] = ()


class Predictor:
    """A loaded model; `tasks` are the names it knows, `about` what was said of it."""

    def __init__(
        self,
        model: MultiTaskEncoder,
        values: Mapping[str, Any],
        tokenizer: Tokenizer,
        ngrams: Ngrams | None = None,
    ) -> None:
        self.model, self._tokenizer, self._ngrams = model.eval(), tokenizer, ngrams
        self.about: dict[str, Any] = values["about"]
        self.config: dict[str, Any] = values["config"]
        self.infos = {task["name"]: task_info(task) for task in values["tasks"]}
        self.labels = {name: info.labels for name, info in self.infos.items()}
        self._max_words: int = values["max_words"]

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.infos)

    def predict(
        self, task: str, texts: Sequence[str], seconds: Sequence[str] = ()
    ) -> list[Prediction]:
        """Return the prediction for each text, or pair of texts, in their order.

        Args:
            seconds: The second text of each pair, for a task of pairs.

        Raises:
            ConfigError: The model has no such task, the texts are no list of texts, or they are no
                pairs where the task is of pairs.
        """
        check_names([task], self.tasks, where="task")
        info = self.infos[task]
        _check_texts(texts, seconds, info)
        if not texts:
            return []
        read = texts
        if info.kind == "tagging":
            read = [" ".join(text.split()) or "?" for text in texts]
        rows = Split(texts=tuple(read), labels=(), source="texts", seconds=tuple(seconds))
        found = encode_rows(self._tokenizer, rows, info.kind, self._max_words)
        said: list[Prediction] = [Prediction(label="")] * len(texts)
        with torch.no_grad():
            for examples, batch in _minibatches(self.tasks.index(task), found, self._ngrams):
                sizes = [1] * len(examples)
                if info.kind == "tagging":
                    sizes = batch.lengths.tolist()
                for row, outputs in zip(
                    examples.tolist(), torch.split(self.model(batch), sizes), strict=True
                ):
                    starts = found.starts[row] if found.starts else ()
                    of_text = outputs[:, : info.n_outputs]
                    said[row] = _prediction(of_text, info, starts, len(texts[row].split()))
        return said

    def predict_lines(self, task: str, lines: Sequence[str]) -> list[Prediction]:
        """Return the predictions for lines of text; of a task of pairs, a tab stands between two.

        Raises:
            ConfigError: As `predict`, or a line of a task of pairs is no pair, with its number.
        """
        check_names([task], self.tasks, where="task")
        if not self.infos[task].of_pairs:
            return self.predict(task, lines)
        cells = [line.split("\t") for line in lines]
        faults = [
            f"line {number}: {len(of_line)} cells, task {task!r} is of pairs: TEXT<TAB>TEXT wanted"
            for number, of_line in enumerate(cells, start=1)
            if len(of_line) != 2
        ]
        if faults:
            raise ConfigError(faults[:5])
        return self.predict(task, [first for first, _ in cells], [second for _, second in cells])


def _check_texts(texts: Sequence[str], seconds: Sequence[str], info: TaskInfo) -> None:
    for name, given in (("texts", texts), ("seconds", seconds)):
        if isinstance(given, str) or not all(isinstance(text, str) for text in given):
            raise ConfigError(f"{name}: must be a list of texts, each of them a string")
    if info.of_pairs and len(seconds) != len(texts):
        raise ConfigError(
            f"task {info.name!r}: is of pairs, found {len(seconds)} second texts for {len(texts)}"
        )
    if seconds and not info.of_pairs:
        raise ConfigError(f"task {info.name!r}: is of single texts, so there are no second ones")


def _prediction(outputs: Tensor, info: TaskInfo, starts: Sequence[int], n_words: int) -> Prediction:
    """Return what the outputs of one text say, (1, C); of a tagged text, (pieces, C).

    Args:
        starts: Of a tagged text, the word that each piece begins, else -1.
        n_words: Words of the text, of which some may begin no piece.
    """
    if info.kind == "regression":
        return Prediction(_written(float(outputs[0, 0]) * info.spread + info.mean, info.spread))
    if info.kind == "tagging":
        return _tags(outputs, info, starts, n_words)
    several = info.kind == "multilabel"
    shares = torch.sigmoid(outputs[0]) if several else torch.softmax(outputs[0], dim=0)
    by_label = dict(zip(info.labels, shares.tolist(), strict=True))
    likeliest = [info.labels[int(outputs[0].argmax())]]
    named = [label for label, share in by_label.items() if share > 0.5] if several else likeliest
    label = LABEL_SEPARATOR.join(named) or LABEL_SEPARATOR
    return Prediction(label, by_label, tuple(by_label[name] for name in named))


def _written(value: float, spread: float) -> str:
    """Return a value with as many digits as tell it from others of the task, however large."""
    return f"{round(value, _DIGITS - floor(log10(spread))):.15g}"


def _tags(outputs: Tensor, info: TaskInfo, starts: Sequence[int], n_words: int) -> Prediction:
    tags, shares = [info.unread_tag] * n_words, [nan] * n_words
    likeliest = torch.softmax(outputs, dim=1).max(dim=1)
    for word, tag, share in zip(
        starts, likeliest.indices.tolist(), likeliest.values.tolist(), strict=True
    ):
        if 0 <= word < n_words:  # a text without a word was read as one
            tags[word], shares[word] = info.labels[tag], share
    return Prediction(" ".join(tags), of_answer=tuple(shares))


def _minibatches(
    task: int, found: WordIds, ngrams: Ngrams | None
) -> Iterator[tuple[np.ndarray, Minibatch]]:
    """Yield minibatches of texts of like length, each with the places of its texts in `found`."""
    lengths = np.array([len(of_text) for of_text in found.ids], dtype=np.int64)
    seconds = np.array(found.seconds, dtype=np.int32)
    for step in evaluation_steps([lengths]):
        examples = step[0].examples
        words = np.zeros((len(examples), lengths[examples].max()), dtype=np.int64)
        for at, example in enumerate(examples):
            words[at, : lengths[example]] = found.ids[example]
        yield (
            examples,
            Minibatch(
                words=torch.from_numpy(words),
                lengths=torch.from_numpy(lengths[examples]),
                labels=torch.zeros(len(examples), dtype=torch.int64),
                tasks=(task,),
                sizes=(len(examples),),
                seconds=seconds[examples],
                wide=None
                if ngrams is None
                else read_wide(ngrams, [found.ids[e] for e in examples]),
            ),
        )
