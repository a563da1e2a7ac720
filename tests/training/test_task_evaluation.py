"""Scores, plain and over the rows never seen in training."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mtl_core.baselines import baselines
from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.minibatch import Row, collate
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.training.config import TrialConfig
from mtl_core.training.evaluation import evaluate
from mtl_core.training.models import build_model
from mtl_core.training.task_evaluation import TaskEvaluation, average, evaluation_of

Make = Callable[..., TrialConfig]


def test_scores_are_worked_out_with_and_without_the_rows_seen() -> None:
    evaluation = TaskEvaluation(
        predicted=np.array([0, 1, 1, 0, 1]),
        labels=np.array([0, 1, 0, 0, 0]),
        seen_in_train=np.array([True, True, False, False, False]),
    )

    assert evaluation.correct.tolist() == [True, True, False, True, False]
    assert evaluation.score == pytest.approx(3 / 5)
    assert evaluation.score_unseen == pytest.approx(1 / 3)
    assert (evaluation.n_rows, evaluation.n_unseen) == (5, 3)


def test_there_is_no_unseen_score_where_every_row_was_seen() -> None:
    seen = np.ones(2, dtype=bool)
    evaluation = TaskEvaluation(predicted=np.zeros(2), labels=np.zeros(2), seen_in_train=seen)

    assert evaluation.score_unseen is None


def test_the_average_counts_each_task_once() -> None:
    few = TaskEvaluation(
        predicted=np.zeros(1), labels=np.zeros(1), seen_in_train=np.zeros(1, dtype=bool)
    )
    many = TaskEvaluation(
        predicted=np.zeros(9), labels=np.ones(9), seen_in_train=np.zeros(9, dtype=bool)
    )

    assert average({"few": few, "many": many}) == pytest.approx(0.5)


def test_words_past_the_longest_text_count_as_answered_o(tmp_path: Path, make_config: Make) -> None:
    words = ["Bob" if at in (3, 30) else f"w{at}" for at in range(40)]
    tags = ["B-X" if word == "Bob" else "O" for word in words]
    rows = Split(texts=(" ".join(words),) * 9, labels=(" ".join(tags),) * 9, source="ner")
    splits = dict.fromkeys(("train", "dev", "test"), rows)
    task = Task(name="ner", kind="tagging", metric="entity_f1", labels=("B-X", "O"), splits=splits)
    corpus = Corpus(tasks=(task,), layout="folders", source="here")
    encoded = encode(corpus, DataConfig(max_words=20), tmp_path)
    shown = np.array([task.labels.index(tag) for tag in tags[:20]] * 9)

    found = evaluation_of(encoded.split(0, "test"), encoded.tasks[0], shown)

    assert found.score == pytest.approx(2 / 3)  # of two entities one is found, none is wrong
    baseline = next(iter(baselines(corpus))).answered["ner"]["test"].answers
    assert found.labels.tolist() == baseline.labels.tolist()
    assert found.counts[:, 2].tolist() == [2.0] * 9
    model = build_model(encoded, make_config(), seed=3)
    assert evaluate(model, encoded, "test")["ner"].n_rows == 9
    assert collate(encoded, "train", (Row(0, np.arange(2)),)).labels.tolist() == shown[:40].tolist()
